// Unpacks archives with node-tar: node unpack.js NODE_MODULES ARCHIVES INTO
// Prints the names of those that it refuses or complains about.
const fs = require("node:fs");
const path = require("node:path");

const [modules, archives, into] = process.argv.slice(2);
const tar = require(path.join(modules, "tar"));
for (const name of fs.readdirSync(archives).sort()) {
  const cwd = path.join(into, name);
  let refused = false;
  try {
    tar.x({ file: path.join(archives, name), cwd, sync: true, onwarn: () => (refused = true) });
  } catch {
    refused = true;
  }
  if (refused) console.log(name);
}
