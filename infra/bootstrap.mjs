// Makes sure that what is installed is what package-lock.json says, and installs it if not. Runs before anything is
// installed, so it uses nothing but Node. When there is nothing to do it takes a few milliseconds.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const NODE_MIN = [20, 19];
const root = fileURLToPath(new URL("..", import.meta.url));

/** The `packages` of a lockfile, or undefined if the file is not there or was cut short. */
function readPackages(file) {
  try {
    return JSON.parse(readFileSync(new URL(`../${file}`, import.meta.url), "utf8")).packages;
  } catch {
    return undefined;
  }
}

/** Why an installation is needed, or undefined. npm writes what it installed into node_modules/.package-lock.json. */
function findMismatch() {
  const wanted = readPackages("package-lock.json");
  const installed = readPackages("node_modules/.package-lock.json");
  if (wanted === undefined) throw new Error("package-lock.json is missing or damaged");
  if (installed === undefined) return "nothing is installed yet";
  for (const [path, want] of Object.entries(wanted)) {
    if (path === "") continue;
    const have = installed[path];
    // Optional packages are mostly those of other platforms.
    if (have === undefined && !want.optional) return `${path} is not installed`;
    if (have && (have.version !== want.version || have.integrity !== want.integrity))
      return `${path} is another version`;
  }
  for (const path of Object.keys(installed)) {
    if (wanted[path] === undefined) return `${path} is no longer wanted`;
  }
  return undefined;
}

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1])) {
  console.error(`Node.js ${NODE_MIN.join(".")} or newer is needed; this is ${process.versions.node}.`);
  process.exit(1);
}

const mismatch = findMismatch();
if (mismatch !== undefined) {
  console.error(`Installing dependencies with npm ci: ${mismatch}.`);
  const npm = process.env.npm_execpath;
  const [command, args] = npm === undefined ? ["npm", []] : [process.execPath, [npm]];
  const { status, error } = spawnSync(command, [...args, "ci", "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: "inherit",
  });
  if (error) console.error(`npm could not be run: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}
