"""The LiteRT model of an artifact: converted, and quantised if that is asked for."""
