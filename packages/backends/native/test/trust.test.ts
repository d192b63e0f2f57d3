import { afterEach, beforeEach, expect, test } from "bun:test"
import { chmod, chown, copyFile, lstat, mkdir, mkdtemp, rename, rm, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { Backend, BackendUnavailableError } from "@spikeroute/core"
import { Effect } from "effect"
import { build, layer } from "../src/index.ts"
import { unavailable } from "./configurations.ts"

if (unavailable === undefined && process.platform !== "win32") {
  const library = await build()
  const { XDG_CACHE_HOME } = process.env
  let home = ""
  let folder = ""
  let copy = ""

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "cache-"))
    folder = join(home, "spikeroute", "native")
    copy = join(folder, basename(library))
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await chmod(join(home, "spikeroute"), 0o755)
    await copyFile(library, copy)
    await chmod(copy, 0o755)
    process.env.XDG_CACHE_HOME = home
  })
  afterEach(async () => {
    if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME
    else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME
    await rm(home, { recursive: true, force: true })
  })

  const refused = async (path: string) => {
    const result = await Effect.runPromise(Effect.result(Effect.provide(Backend, layer())))
    const failure = result._tag === "Failure" ? result.failure : undefined
    expect(failure).toBeInstanceOf(BackendUnavailableError)
    expect(failure?.message).toContain(path)
  }

  test("a library in folders that nobody else can write is loaded", async () => {
    expect(await build()).toBe(copy)
    expect((await Effect.runPromise(Effect.provide(Backend, layer()))).name).toBe("native")
  })

  test("a library that others can write, or in a folder that others can write, is not loaded", async () => {
    for (const path of [copy, folder, join(home, "spikeroute"), home])
      for (const bits of [0o020, 0o002]) {
        const { mode } = await lstat(path)
        await chmod(path, mode | bits)
        await refused(path)
        await chmod(path, mode)
      }
    expect(await build()).toBe(copy)
  })

  test("a symbolic link to a library or in place of its folder is not followed", async () => {
    const elsewhere = join(home, "elsewhere")
    await rename(copy, elsewhere)
    await symlink(elsewhere, copy)
    await refused(copy)
    await rm(copy)
    await rename(elsewhere, copy)
    await rename(folder, elsewhere)
    await symlink(elsewhere, folder)
    await refused(folder)
  })

  // Only root can change a file's owner.
  if (process.getuid?.() === 0)
    test("a library or folder of another user is not loaded", async () => {
      for (const path of [copy, folder, join(home, "spikeroute"), home]) {
        await chown(path, 12345, 0)
        await refused(path)
        await chown(path, 0, 0)
      }
    })

  test("new folders are accessible to the user only, whatever the umask", async () => {
    process.env.XDG_CACHE_HOME = join(home, "made")
    const { CC } = process.env
    const mask = process.umask(0)
    process.env.CC = "/no/such/compiler"
    try {
      await expect(build()).rejects.toThrow("no C compiler")
      for (const path of ["made", "made/spikeroute", "made/spikeroute/native"])
        expect((await lstat(join(home, path))).mode & 0o777).toBe(0o700)
    } finally {
      process.umask(mask)
      if (CC === undefined) delete process.env.CC
      else process.env.CC = CC
    }
  })
}
