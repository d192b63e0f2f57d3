/** PyTorch's layouts against ours, with numbers that say where they stand. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import {
  averagePool,
  batchNorm,
  conv2d,
  flatten,
  Graph,
  gain,
  Key,
  lif,
  linear,
  MismatchError,
  Models,
  PyTorch,
  type Safetensors,
  Shape,
  Train,
} from "../src/index.ts"

const iota = (length: number) => Float32Array.from({ length }, (_, i) => i)

const graph = Graph.makeUnsafe(
  [4, 6, 2],
  Graph.sequential(
    conv2d({ channels: 3, kernelSize: 1 }),
    lif(),
    averagePool({ kernelSize: 2 }),
    flatten(),
    gain(),
    linear({ features: 2 }),
    lif(),
    linear({ features: 3 }),
  ),
)

const parameter = (name: string) => graph.parameters.find((each) => each.name === name)!

test("images: [channels, height, width] becomes [height, width, channels], one image after the other", () => {
  // Two images of 1×2 pixels and 3 channels.
  const theirs = Float32Array.of(1, 2, 10, 20, 100, 200, 3, 4, 30, 40, 300, 400)
  expect([...PyTorch.imagesFromPyTorch(theirs, [1, 2, 3])]).toEqual([1, 10, 100, 2, 20, 200, 3, 30, 300, 4, 40, 400])
})

test("convolutions: [out, in, height, width] becomes [height, width, in, out]", () => {
  const own = Graph.makeUnsafe([4, 4, 3], Graph.sequential(conv2d({ channels: 5, kernelSize: 2 }), flatten()))
  const weight = own.parameters.find(({ name }) => name === "0.weight")!
  expect(PyTorch.pyTorchShape(own, weight)).toEqual([5, 3, 2, 2])
  const ours = PyTorch.fromPyTorch(own, weight, iota(60))
  for (let y = 0; y < 2; y++)
    for (let x = 0; x < 2; x++)
      for (let i = 0; i < 3; i++)
        for (let o = 0; o < 5; o++) expect(ours[((y * 2 + x) * 3 + i) * 5 + o]).toBe(((o * 3 + i) * 2 + y) * 2 + x)
})

test("linear layers: [out, in] becomes [in, out]", () => {
  expect(PyTorch.pyTorchShape(graph, parameter("7.weight"))).toEqual([3, 2])
  expect([...PyTorch.fromPyTorch(graph, parameter("7.weight"), Float32Array.of(1, 2, 3, 4, 5, 6))]).toEqual([
    1, 3, 5, 2, 4, 6,
  ])
})

test("a linear layer behind a flattened image counts its inputs channels first there, also through what keeps the shape", () => {
  const ours = PyTorch.fromPyTorch(graph, parameter("5.weight"), iota(36))
  // The image is 2×3 pixels of 3 channels; output o's weights stand at o·18 + channel·6 + pixel there.
  for (let pixel = 0; pixel < 6; pixel++)
    for (let c = 0; c < 3; c++)
      for (let o = 0; o < 2; o++) expect(ours[(pixel * 3 + c) * 2 + o]).toBe(o * 18 + c * 6 + pixel)
})

describe("there and back is the same", () => {
  for (const each of graph.parameters)
    test(each.name, () => {
      const values = iota(Shape.size(each.shape))
      const back = PyTorch.toPyTorch(graph, each, PyTorch.fromPyTorch(graph, each, values))
      expect([...back]).toEqual([...values])
    })
})

test("vectors and single numbers stay as they are", () => {
  expect(PyTorch.pyTorchShape(graph, parameter("0.bias"))).toEqual([3])
  expect([...PyTorch.fromPyTorch(graph, parameter("0.bias"), Float32Array.of(3, 1, 2))]).toEqual([3, 1, 2])
  expect(PyTorch.pyTorchShape(graph, parameter("4.gain"))).toEqual([])
})

describe("a state dict", () => {
  const shape = [16, 16, 3]
  const network = Graph.makeUnsafe(shape, Models.nfresnet34(4, { width: 0.1 }))
  const normalized = Graph.makeUnsafe([4], Graph.sequential(linear({ features: 2 }), batchNorm()))
  const tensorsOf = (graph: Graph.Graph) =>
    new Map(
      [...Train.initialize(graph, Key.make(3))].map(([name, values]) => [
        name,
        { shape: graph.parameters.find((each) => each.name === name)!.shape, values },
      ]),
    )
  const refusal = (tensors: ReadonlyMap<string, Safetensors.StoredTensor>) => {
    const error = Effect.runSync(Effect.flip(PyTorch.fromStateDict(normalized, tensors)))
    expect(error).toBeInstanceOf(MismatchError)
    return error
  }
  const zeros = (...extents: ReadonlyArray<number>) => ({
    shape: extents,
    values: new Float32Array(Shape.size(extents)),
  })
  const good = () =>
    new Map<string, Safetensors.StoredTensor>([
      ["0.weight", { shape: [2, 4], values: iota(8) }],
      ["0.bias", zeros(2)],
      ["1.weight", zeros(2)],
      ["1.bias", zeros(2)],
      ["1.running_mean", zeros(2)],
      ["1.running_var", zeros(2)],
      ["1.num_batches_tracked", zeros()],
    ])
  test("is written and read back, with gains of [out, 1, 1, 1]", () => {
    const ours = tensorsOf(network)
    const theirs = Effect.runSync(PyTorch.toStateDict(network, ours))
    expect(theirs.get("layer1.0.conv1.gain")?.shape).toEqual([6, 1, 1, 1])
    expect(theirs.get("layer2.0.downsample.weight")?.shape).toEqual([13, 6, 1, 1])
    expect(theirs.get("layer1.0.skipinit_gain")?.shape).toEqual([])
    expect(Effect.runSync(PyTorch.fromStateDict(network, theirs))).toEqual(ours)
  })
  test("gives weights in our layout, and its counters of batches are passed over", () => {
    const values = Effect.runSync(PyTorch.fromStateDict(normalized, good()))
    expect([...values.keys()]).toEqual([...good().keys()].slice(0, -1))
    expect([...values.get("0.weight")!.values]).toEqual([0, 4, 1, 5, 2, 6, 3, 7])
  })
  test("that does not fit is refused with every tensor at fault", () => {
    const tensors = good()
    tensors.delete("0.bias")
    tensors.delete("1.running_var")
    tensors.set("0.weight", zeros(4, 2)).set("1.bias", zeros(3))
    tensors.set("fc.weight", zeros(2, 2)).set("0.num_batches_tracked", zeros())
    const error = refusal(tensors)
    expect(error.missing.map(({ name }) => name)).toEqual(["0.bias", "1.running_var"])
    expect(error.unexpected.map(({ name }) => name)).toEqual(["fc.weight", "0.num_batches_tracked"])
    expect(error.misshapen.map(({ name }) => name)).toEqual(["0.weight", "1.bias"])
    expect(error.in("w.safetensors").message).toBe(
      "w.safetensors: the tensors do not fit this network: missing 0.bias (2), 1.running_var (2); unexpected fc.weight (2×2), 0.num_batches_tracked (scalar); misshapen 0.weight (4×2, here 2×4), 1.bias (3, here 2)",
    )
  })
})
