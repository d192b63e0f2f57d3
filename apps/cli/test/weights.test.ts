/** Importing and exporting the weights of runs: `import`, `export`, `train --init`. */
import { beforeAll, expect, test } from "bun:test"
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { load } from "@spikeroute/backend-wasm/infer"
import { Graph, Key, Models, PyTorch, Safetensors, Shape } from "@spikeroute/core"
import { Effect } from "effect"
import { readJson, run, small, temporaryDirectory } from "./support.ts"

const wasm = "@spikeroute/backend-wasm/spikeroute.wasm"
const directory = temporaryDirectory()
const path = (name: string) => join(directory, name)
const network = ["--model", "conv", "--width", "0.25"]

const read = async (file: string) => Effect.runPromise(Safetensors.decode(readFileSync(file), file))

/** A PyTorch-style state dict of the network above for the built-in data set. */
const stateDict = () => {
  const graph = Graph.makeUnsafe([16, 16, 2], Models.conv(10, { width: 0.25 }))
  return new Map(
    graph.parameters.map((parameter) => {
      const shape = PyTorch.pyTorchShape(graph, parameter)
      const values = Key.uniform(Key.fold(Key.make(1), parameter.name), new Float32Array(Shape.size(shape)))
      return [parameter.name, { shape, values: values.map((u) => u - 0.5) }]
    }),
  )
}

const write = (name: string, tensors: Safetensors.TensorFile["tensors"]): string => {
  writeFileSync(path(name), Safetensors.encode({ tensors, metadata: {} }))
  return path(name)
}

beforeAll(async () => {
  const file = write("theirs.safetensors", stateDict())
  const config = path("settings.json")
  writeFileSync(config, JSON.stringify({ backend: "reference", limit: 64, batchSize: 8, timeSteps: 3, epochs: 1 }))
  const { code, stderr } = await run("import", file, ...network, "--config", config, "--out", path("imported"))
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
})

test("imported weights are exported unchanged", async () => {
  expect(
    (await run("export", path("imported"), "--format", "safetensors", "--out", path("ours.safetensors"))).code,
  ).toBe(0)
  const { tensors, metadata } = await read(path("ours.safetensors"))
  expect(Object.fromEntries(tensors)).toEqual(Object.fromEntries(stateDict()))
  expect(metadata).toMatchObject({ model: "conv", dataset: "shapes" })
  expect((await run("export", path("imported"))).stdout.trim()).toBe(path("imported/weights.safetensors"))
  expect(readFileSync(path("imported/weights.safetensors"))).toEqual(readFileSync(path("ours.safetensors")))
})

test("import accepts weights for another sample size and for the number of class folders", async () => {
  const graph = Graph.makeUnsafe([16, 16, 3], Models.conv(2, { width: 0.25 }))
  const tensors = graph.parameters.map((parameter) => {
    const shape = PyTorch.pyTorchShape(graph, parameter)
    return [parameter.name, { shape, values: new Float32Array(Shape.size(shape)) }] as const
  })
  for (const folder of ["train/a", "train/b", "val/a", "val/b"]) {
    mkdirSync(path(`images/${folder}`), { recursive: true })
    writeFileSync(path(`images/${folder}/0.png`), "")
  }
  const images = ["--dataset", "image-folder", "--data-dir", path("images"), "--size", "16", ...network]
  const { code, stderr } = await run(
    "import",
    write("two.safetensors", new Map(tensors)),
    ...images,
    "--out",
    path("two"),
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  expect(readJson(path("two/graph.json"))).toMatchObject({ input: [16, 16, 3] })
})

test("an imported run can be evaluated, inspected and resumed", async () => {
  const tested = JSON.parse((await run("eval", path("imported"), "--json", "--limit", "32")).stdout)
  expect(tested).toMatchObject({ samples: 32, epoch: 0, backend: "reference" })
  expect((await run("inspect", path("imported"))).code).toBe(0)
  cpSync(path("imported"), path("resumed"), { recursive: true })
  expect((await run("train", "--resume", path("resumed"))).code).toBe(0)
  expect(readJson(path("resumed"), "summary.json")).toMatchObject({ updates: 8, epochs: 1 })
})

test("eval --margins reports accuracy and mean steps of early exit", async () => {
  const evaluate = (margins: string, ...flags: ReadonlyArray<string>) =>
    run("eval", path("imported"), "--margins", margins, "--limit", "32", ...flags)
  const { testAccuracy, anytime } = JSON.parse((await evaluate("0,0.05,1e9", "--json")).stdout)
  expect(anytime).toMatchObject([
    { margin: null, top1: testAccuracy, meanSteps: 3 },
    { margin: 0, meanSteps: 1 },
    { margin: 0.05 },
    { margin: 1e9, top1: testAccuracy, meanSteps: 3 },
  ])
  expect(anytime[2].meanSteps).toBeGreaterThan(1)
  expect(anytime[2].meanSteps).toBeLessThan(3)
  expect((await evaluate("2")).stdout).toMatch(/^none .* 3\.00 .*\n2 /m)
  expect((await evaluate("2,many")).stderr).toBe(
    'error: --margins has "many"; each must be a number from 0 to 3.4e38\n',
  )
})

test("train --init starts from another run's parameters, with different settings", async () => {
  const flags =
    "--backend reference --limit 8 --batch-size 8 --time-steps 2 --epochs 1 --lr 1e-30 --optimizer sgd".split(" ")
  const { code } = await run("train", ...flags, ...network, "--init", path("imported"), "--out", path("tuned"))
  expect(code).toBe(0)
  expect(readJson(path("tuned"), "config.json").init).toBe(path("imported"))
  await run("export", path("tuned"), "--out", path("tuned.safetensors"))
  expect(Object.fromEntries((await read(path("tuned.safetensors"))).tensors)).toEqual(Object.fromEntries(stateDict()))
})

test("all mismatched tensors are named, and no run is created", async () => {
  const tensors = stateDict()
  tensors.delete("0.bias")
  tensors.set("7.weight", { shape: [3, 2], values: new Float32Array(6) })
  tensors.set("9.extra", { shape: [1], values: new Float32Array(1) })
  const file = write("wrong.safetensors", tensors)
  const { code, stdout, stderr } = await run("import", file, ...network, "--out", path("none"))
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
  expect(stderr).toBe(
    `error: ${file}: the tensors do not fit this network: missing 0.bias (8); unexpected 9.extra (1); misshapen 7.weight (3×2, here 10×256)\n`,
  )
  expect(existsSync(path("none"))).toBe(false)
})

test("--init from a run of another network is refused, and no run is created", async () => {
  const { code, stderr } = await run("train", ...small(1), "--init", path("imported"), "--out", path("other"))
  expect(code).toBe(2)
  expect(stderr.trim().split("\n")).toHaveLength(1)
  expect(stderr).toContain("0.weight (3×3×2×8, here 3×3×2×32)")
  expect(existsSync(path("other"))).toBe(false)
})

test("help lists every model", async () => {
  for (const command of ["train", "plan", "import"]) {
    const { stdout } = await run(command, "--help")
    for (const model of Models.modelNames) expect(stdout).toContain(model)
  }
})

test("a run can be exported as a program, which loads without the compiler and serves train --init", async () => {
  const { code, stdout } = await run("export", path("imported"), "--format", "program", "--time-steps", "5")
  expect({ code, file: stdout.trim() }).toEqual({ code: 0, file: path("imported/program.safetensors") })
  const module = new WebAssembly.Module(readFileSync(fileURLToPath(import.meta.resolve(wasm))))
  const model = load(module, readFileSync(path("imported/program.safetensors")))
  expect(model).toMatchObject({ batchSize: 1, timeSteps: 5, encoding: "frames", shape: [16, 16, 2], classCount: 10 })

  const flags =
    "--backend reference --limit 8 --batch-size 8 --time-steps 2 --epochs 1 --lr 1e-30 --optimizer sgd".split(" ")
  const init = ["--init", path("imported/program.safetensors"), "--out", path("from-program")]
  expect((await run("train", ...flags, ...network, ...init)).code).toBe(0)

  const refused = await run("export", path("imported"), "--batch-size", "3")
  expect(refused).toMatchObject({
    code: 2,
    stdout: "",
    stderr: "error: --batch-size and --time-steps need --format program\n",
  })
})

test("export does not overwrite existing files or write through links", async () => {
  const refuses = async (out: string) => {
    const { code, stderr } = await run("export", path("imported"), "--out", out)
    expect({ code, said: stderr.includes(out) }).toEqual({ code: 2, said: true })
  }
  writeFileSync(path("precious"), "precious")
  symlinkSync(path("precious"), path("link"))
  symlinkSync(path("nothing"), path("dangling"))
  for (const name of ["precious", "link", "dangling", "imported", "imported/last.safetensors"])
    await refuses(path(name))
  await refuses(path("absent/folder/file"))
  expect(readFileSync(path("precious"), "utf8")).toBe("precious")
  expect(existsSync(path("nothing"))).toBe(false)

  rmSync(path("imported/weights.safetensors"), { force: true })
  symlinkSync(path("precious"), path("imported/weights.safetensors"))
  expect((await run("export", path("imported"))).code).toBe(0)
  expect(lstatSync(path("imported/weights.safetensors")).isSymbolicLink()).toBe(false)
  expect(readFileSync(path("precious"), "utf8")).toBe("precious")
})

test("every command that reads weights refuses non-finite ones and names the file and the tensor", async () => {
  const bad = path("not-finite")
  cpSync(path("imported"), bad, { recursive: true })
  const file = join(bad, "last.safetensors")
  const { tensors, metadata } = await read(file)
  const name = "3.bias"
  tensors.get(name)?.values.fill(Number.POSITIVE_INFINITY, 1)
  writeFileSync(file, Safetensors.encode({ tensors, metadata }))
  const dict = stateDict()
  dict.get("3.bias")?.values.fill(Number.NaN, 1)
  const theirs = write("not-finite.safetensors", dict)
  const out = ["--out", path("never")]
  for (const [source, tensor, ...args] of [
    [file, name, "eval", bad],
    [file, name, "inspect", bad],
    [file, name, "export", bad],
    [file, name, "export", bad, "--format", "program"],
    [file, name, "compare", bad],
    [file, name, "train", "--resume", bad],
    [file, name, "train", ...small(1), ...network, "--init", bad, ...out],
    [file, name, "train", ...small(1), ...network, "--init", file, ...out],
    [theirs, "3.bias", "train", ...small(1), ...network, "--init", theirs, ...out],
    [theirs, "3.bias", "import", theirs, ...network, ...out],
  ] as ReadonlyArray<[string, string, ...Array<string>]>) {
    const { code, stdout, stderr } = await run(...args)
    expect({ args, code, stdout, names: stderr.includes(source) && stderr.includes(tensor) }).toEqual({
      args,
      code: 2,
      stdout: "",
      names: true,
    })
  }
  expect(existsSync(path("never"))).toBe(false)
  expect(readdirSync(bad).filter((name) => /^(weights|program|loss)\./.test(name))).toEqual(
    readdirSync(path("imported")).filter((name) => /^(weights|program|loss)\./.test(name)),
  )
})
