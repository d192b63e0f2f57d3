import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { layer } from "@spikeroute/backend-reference"
import { local } from "@spikeroute/distributed"
import { findTestAdapter } from "@spikeroute/test-support"
import { Effect, Layer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { examples, moduleOf } from "../src/examples/extract.ts"
import * as prelude from "../src/examples/prelude.ts"
import { output, repository } from "../src/project.ts"

/** Examples that need files or another machine are only type-checked. */
const { missing } = await findTestAdapter()
const needsMore =
  missing === undefined ? /datasets\/src\/(files|workers|open)\b/ : /datasets\/src\/(files|workers|open)\b|webgpu/

const all = await examples(repository)
const names = [...Object.keys(prelude), "Events"]
const dist = join(import.meta.dir, "../dist")
let folder = ""

const fileOf = (place: string) => join(folder, `${place.replaceAll(/[^\w]/g, "-")}.ts`)

beforeAll(async () => {
  await mkdir(dist, { recursive: true })
  folder = await mkdtemp(join(dist, "examples-"))
  for (const example of all) await writeFile(fileOf(example.place), moduleOf(example, names))
})

afterAll(() => rm(folder, { recursive: true, force: true }))

test("examples are found in doc comments and pages", () => {
  expect(all.filter(({ place }) => place.includes("/src/")).length).toBeGreaterThan(10)
  expect(all.filter(({ place }) => place.includes(".md:")).length).toBeGreaterThan(6)
})

test("examples have no type errors", async () => {
  const config = {
    extends: join(repository, "tsconfig.json"),
    compilerOptions: { noUnusedLocals: false, lib: ["ESNext", "DOM"], verbatimModuleSyntax: false },
    include: ["*.ts"],
    exclude: [],
  }
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config))
  await output([process.execPath, join(repository, "node_modules/typescript/bin/tsc")], folder)
}, 60_000)

describe("runs", () => {
  const platform = Layer.mergeAll(NodeServices.layer, FetchHttpClient.layer, layer, local)
  for (const { place } of all)
    test.skipIf(needsMore.test(place))(place, async () => {
      const { example } = await import(fileOf(place))
      if (example) await Effect.runPromise(example.pipe(Effect.scoped, Effect.provide(platform)))
    })
})
