/** Files of `torch.save`: some that PyTorch 2.13 wrote (`torch/make.py`), and some that are hostile. */

import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { Effect } from "effect"
import { CheckpointError, Graph, Models, PyTorch, Train } from "../src/index.ts"
import * as Drawn from "../src/testing/drawn.ts"
import { onOracle } from "./support.ts"

const fileOf = (name: string): Uint8Array => new Uint8Array(readFileSync(`${import.meta.dir}/torch/${name}.pth`))

const read = (bytes: Uint8Array) =>
  Object.fromEntries(
    [...Effect.runSync(PyTorch.decode(bytes, "file"))].map(([name, { shape, values, unsupported }]) => [
      name,
      unsupported ?? { shape, values: [...values] },
    ]),
  )

const refusal = (bytes: Uint8Array): string => {
  const error = Effect.runSync(Effect.flip(PyTorch.decode(bytes, "file")))
  expect(error).toBeInstanceOf(CheckpointError)
  return error.reason
}

test("all number types, transposed and partial views, parameters, scalars and empty tensors", () => {
  expect(read(fileOf("kinds"))).toEqual({
    w: { shape: [3, 2], values: [0, 3, 1, 4, 2, 5] },
    h: { shape: [2], values: [1.5, -2] },
    b: { shape: [1], values: [1.5] },
    l: { shape: [1], values: [7] },
    u: "BOOL",
    view: { shape: [3], values: [4, 5, 6] },
    scalar: { shape: [], values: [2.5] },
    p: { shape: [2], values: [1, 1] },
    empty: { shape: [0, 3], values: [] },
  })
})

test("the archive and the format before PyTorch 1.6 contain the same; a state dict is found next to an optimiser", () => {
  const old = read(fileOf("old"))
  expect(Object.keys(old)).toEqual([
    ...["0.weight", "0.bias", "1.weight", "1.bias"],
    ...["1.running_mean", "1.running_var", "1.num_batches_tracked"],
  ])
  expect(old["0.weight"]).toMatchObject({ shape: [2, 3] })
  expect(read(fileOf("net"))).toEqual(old)
})

const [proto, mark, dict, setItems, end] = [[0x80, 2], [0x28], [0x7d], [0x75], [0x2e]]
const text = (value: string) => [0x58, value.length, 0, 0, 0, ...new TextEncoder().encode(value)]
const global = (module: string, name: string) => [0x63, ...new TextEncoder().encode(`${module}\n${name}\n`)]
const header = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]

/** A file of the older form whose third pickle is this, with no storages. */
const older = (...value: ReadonlyArray<number>) => olderOf(value)
const olderOf = (value: ReadonlyArray<number>) =>
  Uint8Array.from([header, proto, dict, end, proto, dict, end, value, proto, [0x5d], end].flat())

describe("hostile files", () => {
  test("errors name what they would execute; nothing is executed", () => {
    const call = [...global("os", "system"), ...text("exit 1"), 0x85, 0x52]
    expect(refusal(older(...proto, ...call, ...end))).toContain("os.system")
    const chain = [...global("builtins", "getattr"), ...global("torch", "load"), ...text("__globals__"), 0x86, 0x52]
    expect(refusal(older(...proto, ...chain, ...end))).toContain("builtins.getattr")
    const stacked = [...text("posix"), ...text("system"), 0x93]
    expect(refusal(older(...proto, ...stacked, ...end))).toContain("posix.system")
    // What is known but no function is not called, nor a method of a value of ours.
    expect(refusal(older(...proto, ...global("torch", "FloatStorage"), 0x29, 0x52, ...end))).toContain(
      "cannot be called",
    )
    expect(refusal(older(...proto, ...dict, 0x29, 0x52, ...end))).toContain("cannot be called")
  })

  test("a million levels, and references that would expand to 2^60 lists, are read quickly", () => {
    const levels = 1_000_000
    const nested = [proto, Array<number>(levels).fill(0x5d), Array<number>(levels - 1).fill(0x61), end].flat()
    expect(refusal(olderOf(nested))).toContain("no state dict")
    const doubled = Array.from({ length: 60 }, () => [0x5d, ...mark, 0x68, 0, 0x68, 0, 0x65, 0x71, 0]).flat()
    expect(refusal(older(...proto, ...text("x"), 0x71, 0, ...doubled, ...end))).toContain("no state dict")
  })

  test("truncated anywhere, or with a byte changed, they are rejected or read", () => {
    for (const name of ["old", "kinds"]) {
      const whole = fileOf(name)
      for (let length = 0; length < whole.length; length += 13) refusal(whole.subarray(0, length))
      for (let at = 0; at < whole.length; at += 3) {
        const changed = whole.slice()
        changed[at] = (changed[at] as number) ^ (1 + (at % 255))
        const exit = Effect.runSync(Effect.result(PyTorch.decode(changed, "file")))
        if (exit._tag === "Failure") expect(exit.failure).toBeInstanceOf(CheckpointError)
      }
    }
  })

  test("a tensor beyond its storage, and shapes beyond the file, are rejected", () => {
    const storage = (length: number) => [
      ...[...mark, ...text("storage"), ...global("torch", "FloatStorage"), ...text("0"), ...text("cpu")],
      ...[0x4a, length & 255, (length >> 8) & 255, (length >> 16) & 255, length >> 24, 0x74, 0x51],
    ]
    const tensor = (length: number, extent: number, stride: number) => [
      ...[...global("torch._utils", "_rebuild_tensor_v2"), ...mark, ...storage(length), 0x4b, 0],
      ...[0x4a, extent & 255, (extent >> 8) & 255, (extent >> 16) & 255, extent >> 24, 0x85, 0x4b, stride, 0x85],
      ...[0x89, ...dict, 0x74, 0x52],
    ]
    const file = (...value: ReadonlyArray<number>) =>
      older(...proto, ...dict, ...mark, ...text("w"), ...value, ...setItems, ...end)
    expect(refusal(file(...tensor(4, 5, 1)))).toContain("beyond its storage")
    expect(refusal(file(...tensor(4, 3, 2)))).toContain("beyond its storage")
    expect(refusal(file(...tensor(4, 1 << 30, 0)))).toContain("beyond its storage")
    expect(refusal(file(...tensor(1 << 30, 1 << 30, 1)))).toContain("more than the file has bytes")
    expect(refusal(file(...tensor(4, 4, 1)))).toContain("not whole")
  })
})

test("a checkpoint of ResNet-18 gives the read-outs that PyTorch has of it", async () => {
  const graph = Graph.makeUnsafe([32, 32, 3], Models.resnet18(10, { width: 1 / 32, neuron: { tau: 2 } }))
  const batch = { seed: 7, update: 0, batchSize: 2, classes: 10, shape: [3, 32, 32] } as const
  const { outputs } = await onOracle(
    Effect.gen(function* () {
      const tensors = yield* PyTorch.fromStateDict(graph, yield* PyTorch.decode(fileOf("resnet18"), "resnet18.pth"))
      const predictor = yield* Train.makePredictor(graph, { batchSize: 2, timeSteps: 4 })
      yield* predictor.load(tensors)
      return yield* predictor.predict(PyTorch.imagesFromPyTorch(Drawn.images(batch), [32, 32, 3]))
    }),
  )
  const theirs: ReadonlyArray<number> = JSON.parse(
    readFileSync(`${import.meta.dir}/torch/resnet18.json`, "utf8"),
  ).flat()
  outputs.forEach((value, i) => {
    expect(Math.abs(value - (theirs[i] as number))).toBeLessThan(1e-4)
  })
  expect(outputs).toHaveLength(theirs.length)
})
