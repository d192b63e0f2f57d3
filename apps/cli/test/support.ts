/** Runs the command line as a separate process. */

import { afterAll } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const entry = fileURLToPath(new URL("../src/main.ts", import.meta.url))

/** A temporary directory, removed after the tests of the file. */
export const temporaryDirectory = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "spikeroute-"))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** The argument vector of a command. */
export const command = (...args: ReadonlyArray<string>): Array<string> => [process.execPath, entry, ...args]

const spawn = (
  before: ReadonlyArray<string>,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
) =>
  Bun.spawn([process.execPath, ...before, entry, ...args], {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1", ...env },
  })

/** Starts a command, preloading the test's own module if one is given. */
export const startAfter = (preload: string | undefined, ...args: ReadonlyArray<string>) =>
  spawn(preload ? ["--preload", preload] : [], args)

export const start = (...args: ReadonlyArray<string>) => spawn([], args)

export interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Waits for a started command. */
export const ended = async (child: ReturnType<typeof start>): Promise<Result> => {
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, stdout, stderr }
}

/** Runs a command to its end. */
export const run = (...args: ReadonlyArray<string>): Promise<Result> => ended(start(...args))

/** Runs a command to its end with other environment variables. */
export const runWith = (env: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>): Promise<Result> =>
  ended(spawn([], args, env))

/** The flags of a run of about a second: `epochs` epochs of eight batches. */
export const small = (epochs: number): ReadonlyArray<string> =>
  `--backend reference --limit 64 --batch-size 8 --time-steps 3 --epochs ${epochs}`.split(" ")

export const readJson = (...path: ReadonlyArray<string>) => JSON.parse(readFileSync(join(...path), "utf8"))

/** The position of a run's last checkpoint, from its metadata. */
export const positionOf = (path: string) => {
  const bytes = readFileSync(join(path, "last.safetensors"))
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + Number(bytes.readBigUInt64LE(0))))
  return JSON.parse(header.__metadata__.position)
}

/** File contents by name. */
export const filesOf = (path: string) =>
  Object.fromEntries(readdirSync(path).map((name) => [name, Bun.hash(readFileSync(join(path, name)))]))
