import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { packages } from "../scripts/import-rules.ts"

const repository = join(import.meta.dir, "..")
const all = packages(repository)

test("bun.lock is text and contains no registry URLs", () => {
  const lock = readFileSync(join(repository, "bun.lock"), "utf8")
  expect(lock).toStartWith("{")
  expect(lock.match(/https?:\/\/\S*/g)).toBeNull()
})

test.each(all.map(({ folder, manifest }) => [folder, manifest] as const))("%s pins its dependencies", (_, manifest) => {
  const { dependencies, devDependencies, optionalDependencies, peerDependencies } = manifest
  const versions = { ...dependencies, ...devDependencies, ...optionalDependencies, ...peerDependencies }
  const loose = Object.entries(versions).filter(
    ([, version]) => version !== "workspace:*" && !/^(npm:[\w@/-]+@)?\d+\.\d+\.\d+(-[\w.-]+)?$/.test(version),
  )
  expect(loose).toEqual([])
})

test.each(all.slice(1).map(({ folder, manifest }) => [folder, manifest] as const))(
  "%s declares its licence, type and exports",
  (_, manifest) => {
    expect(manifest).toMatchObject({ license: "MIT", type: "module", exports: expect.anything() })
  },
)
