/** The curl command for the page's request. It reads the API key from the shell's `$KEY`. */

/**
 * `url` is the URL of the request and `type` the image's content type. The command sends the file
 * `name`, or first downloads the image from the URL `source` if there is one.
 */
export function command({ url, type, name, source }) {
  const image = source ? "@-" : quoted(`@${name}`);
  const post = `curl -H "x-api-key: $KEY" -H ${quoted(`content-type: ${type}`)} `
    + `--data-binary ${image} ${quoted(url)}`;
  return source ? `curl -s ${quoted(source)} | ${post}` : post;
}

/** The word, quoted for a POSIX shell if necessary. */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
