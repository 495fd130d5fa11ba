/** The command line that does what the page has just done; the key is the shell's `$KEY`. */

/**
 * `url` is where the image was posted, `type` its content type. The image is the file `name`,
 * or is fetched first where `source`, its address, is given.
 */
export function command({ url, type, name, source }) {
  const image = source ? "@-" : quoted(`@${name}`);
  const posting = `curl -H "x-api-key: $KEY" -H ${quoted(`content-type: ${type}`)} `
    + `--data-binary ${image} ${quoted(url)}`;
  return source ? `curl -s ${quoted(source)} | ${posting}` : posting;
}

/** One word of a POSIX shell. */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
