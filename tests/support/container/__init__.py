"""AWS's inference image and its model server, and the files of our images."""
