/** Custom networks and data sets: modules, graphs, NIR, program files. */
import { beforeAll, describe, expect, test } from "bun:test"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Graph, Models } from "@spikeroute/core"
import * as Nir from "@spikeroute/nir"
import { Effect } from "effect"
import { resolve } from "../src/config.ts"
import { networkFor } from "../src/network.ts"
import { openDataset } from "../src/run.ts"
import { filesOf, readJson, run, temporaryDirectory } from "./support.ts"

const directory = temporaryDirectory()
const path = (name: string) => join(directory, name)
const write = (name: string, content: string): string => {
  writeFileSync(path(name), content)
  return path(name)
}

const network = (features: number) => `import { Graph, lif, linear } from "@spikeroute/core"
export default (classes: number) =>
  Graph.sequential(linear({ features: ${features} }), lif({ reset: "hard" }), linear({ features: classes }))
`
const data = `const split = (size: number) => ({
  size,
  label: (i: number) => i % 3,
  write: (samples: ArrayLike<number>, _: unknown, out: Float32Array) => {
    for (let n = 0; n < samples.length; n++) out[4 * n + (samples[n] as number) % 3] = 3
  },
})
export default ({ timeSteps }: { timeSteps: number }) => {
  if (timeSteps !== 3) throw new Error("it has 3 time steps")
  return { shape: [4], classes: 3, encoding: "static", train: split(24), test: split(9) }
}
`
const small = "--backend reference --batch-size 8 --time-steps 3 --epochs 1".split(" ")
const own = ["--model", path("net.ts"), "--dataset", path("data.ts")]

const right = async (...args: ReadonlyArray<string>): Promise<string> => {
  const { code, stdout, stderr } = await run(...args)
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" })
  return stdout
}

const refuses = async (args: ReadonlyArray<string>, ...parts: ReadonlyArray<string>) => {
  const { code, stdout, stderr } = await run(...args)
  expect({ code, stdout, lines: stderr.trim().split("\n").length }).toEqual({ code: 2, stdout: "", lines: 1 })
  for (const part of parts) expect(stderr).toContain(part)
}

beforeAll(async () => {
  write("net.ts", network(8))
  write("data.ts", data)
  await right("train", ...own, ...small, "--out", path("run"))
})

test("a run of a module's network and data can be resumed until the module's network changes", async () => {
  expect(readJson(path("run"), "config.json")).toMatchObject({ model: path("net.ts"), dataset: path("data.ts") })
  const more = ["train", "--resume", path("run"), "--epochs", "2"]
  const before = filesOf(path("run"))
  write("net.ts", network(9))
  await refuses(more, "net.ts", "0.weight")
  expect(filesOf(path("run"))).toEqual(before)
  rmSync(path("net.ts"))
  await right(...more)
  write("net.ts", network(8))
})

test("compare and inspect accept custom networks and data sets", async () => {
  expect(JSON.parse(await right("inspect", path("run"), "--json")).parameterCount).toBe(4 * 8 + 8 + 8 * 3 + 3)
  const compared = JSON.parse(await right("compare", ...own, ...small.slice(0, -2), "--batches", "1", "--json"))
  expect(compared.parameters.map(({ parameter }: { parameter: string }) => parameter)).toContain("2.weight")
})

test("eval tests a program file on the data set given by --dataset", async () => {
  const program = (await right("export", path("run"), "--format", "program")).trim()
  const tested = ["eval", program, "--dataset", path("data.ts"), "--backend", "reference", "--json"]
  const { testAccuracy } = JSON.parse(await right("eval", path("run"), "--json"))
  expect(JSON.parse(await right(...tested))).toMatchObject({ testAccuracy, samples: 9, epoch: null })
  await refuses(["eval", program], "--dataset")
})

test("a NIR network survives export and import unchanged, and can be evaluated", async () => {
  const file = (await right("export", path("run"), "--format", "nir", "--dt", "1e-3")).trim()
  await right("import", file, "--dt", "1e-3", "--time-steps", "3", "--out", path("nir"))
  expect(readJson(path("nir"), "config.json")).toMatchObject({ dataset: "none", nir: { dt: 1e-3 } })
  const again = (await right("export", path("nir"), "--format", "nir")).trim()
  const read = (each: string) => Effect.runPromise(Nir.read(readFileSync(each), each))
  expect(await read(again)).toEqual(await read(file))
  await refuses(["export", path("nir"), "--format", "nir", "--out", path("none.nir"), "--dt", "1e-4"], "discretisation")
  const tested = await right("eval", path("nir"), "--dataset", path("data.ts"), "--backend", "reference", "--json")
  expect(JSON.parse(tested).samples).toBe(9)
})

const services = NodeServices.layer
const config = resolve({ dataset: path("data.ts"), timeSteps: 3 })
const graphOf = (model: string) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const dataset = yield* openDataset(config)
      return (yield* networkFor({ ...config, model }, dataset)).graph
    }).pipe(Effect.scoped, Effect.provide(services)),
  )

test("a graph can be loaded from JSON and from a module", async () => {
  const graph = JSON.stringify(readJson(path("run"), "graph.json"))
  const given = `import { Effect } from "effect"
import { Graph } from "@spikeroute/core"
export default Effect.runSync(Graph.fromJson(${graph}))`
  for (const model of [write("graph.json", graph), write("graph.ts", given)])
    expect(JSON.stringify(Graph.toJson(await graphOf(model)))).toBe(graph)
})

describe("unsuitable exports and mismatched networks are refused with the file name", () => {
  const networks: Readonly<Record<string, readonly [source: string, ...parts: ReadonlyArray<string>]>> = {
    "nothing.ts": ["export const network = 1", "default export"],
    "number.ts": ["export default 7", "7", "a layer"],
    "throws.ts": ["throw new Error('not today')", "not today"],
    "syntax.ts": ["export default {", "cannot be loaded"],
    "own-error.ts": ["export default (classes) => { throw new Error('not ' + classes) }", "not"],
    "features.ts": [network(0), "features"],
    "shape.json": [JSON.stringify(Graph.toJson(Graph.makeUnsafe([28, 28, 1], Models.mlp(3)))), "28×28×1"],
    "classes.ts": [network(8).replace("features: classes", "features: 7"), "7 outputs", "3 classes"],
    "graph.json": ["{}", "graph"],
  }
  for (const [name, [source, ...parts]] of Object.entries(networks))
    test(name, async () => {
      const { message } = await graphOf(write(name, source)).then(
        () => new Error(),
        (error: Error) => error,
      )
      for (const part of [name, ...parts]) expect(message).toContain(part)
    })
  const split = (label: string) => `{ size: 2, label: () => ${label}, write() { throw new Error("no disk") } }`
  const sample = 'shape: [4], classes: 3, encoding: "static"'
  const datasets: Readonly<Record<string, readonly [source: string, ...parts: ReadonlyArray<string>]>> = {
    "no-data.ts": ["{ shape: [4] }", "classes"],
    "labels.ts": [`{ ${sample}, train: ${split("5")}, test: ${split("0")} }`, "sample 0", "5"],
    "label-error.ts": [`{ ${sample}, train: ${split("missing.label")}, test: ${split("0")} }`, "missing"],
    "promise.ts": ["async () => { throw new Error('no network') }", "no network"],
    "write.ts": [`() => Promise.resolve({ ${sample}, train: ${split("1")}, test: ${split("2")} })`, "no disk"],
  }
  for (const [name, [source, ...parts]] of Object.entries(datasets))
    test(name, async () => {
      const given = { ...config, dataset: write(name, `export default ${source}`) }
      const read = Effect.gen(function* () {
        const { train } = yield* openDataset(given)
        yield* train.write([0], undefined, new Float32Array(4))
      })
      const { message } = await Effect.runPromise(Effect.flip(read.pipe(Effect.scoped, Effect.provide(services))))
      for (const part of [name, ...parts]) expect(message).toContain(part)
    })
})
