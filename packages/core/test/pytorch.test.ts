/** PyTorch's layouts against ours, with numbers that say where they stand. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import * as fc from "fast-check"
import {
  add,
  averagePool,
  batchNorm,
  concatenate,
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
  dropout,
  flatten,
  Graph,
  GraphError,
  gain,
  Key,
  leakyReadout,
  lif,
  linear,
  MismatchError,
  Models,
  PyTorch,
  plif,
  reshape,
  residual,
  type Safetensors,
  Shape,
  scale,
  slice,
  Train,
} from "../src/index.ts"
import { Arbitrary } from "../src/testing/index.ts"

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

test("images: [channels, height, width] becomes [height, width, channels], for each image", () => {
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

/** Of every weight of 2 groups, 6 outputs and a window of 2 × 3 or of 3: where PyTorch stores it. */
const windows = {
  "grouped: [out, in/groups, …]": [
    [5, 6, 4],
    conv2d({ channels: 6, kernelSize: [2, 3], groups: 2 }),
    [6, 2, 2, 3],
    (a: number, b: number, k: number, o: number) => [o, k, a, b],
  ],
  "depthwise: [channels, 1, …]": [
    [5, 6, 6],
    conv2d({ channels: 6, kernelSize: [2, 3], groups: 6 }),
    [6, 1, 2, 3],
    (a: number, b: number, _: number, o: number) => [o, 0, a, b],
  ],
  "of sequences, grouped: [out, in/groups, length]": [
    [6, 4],
    conv1d({ channels: 6, kernelSize: 3, groups: 2 }),
    [6, 2, 3],
    (_: number, b: number, k: number, o: number) => [o, k, b],
  ],
  "transposed, grouped: [in, out/groups, …], turned around": [
    [5, 6, 4],
    convTranspose2d({ channels: 6, kernelSize: [2, 3], groups: 2 }),
    [4, 3, 2, 3],
    (a: number, b: number, k: number, o: number) => [Math.floor(o / 3) * 2 + k, o % 3, 1 - a, 2 - b],
  ],
  "transposed, of sequences: [in, out, length], turned around": [
    [6, 4],
    convTranspose1d({ channels: 6, kernelSize: 3 }),
    [4, 6, 3],
    (_: number, b: number, k: number, o: number) => [k, o, 2 - b],
  ],
} as const

for (const [name, [shape, layer, theirs, placeOf]] of Object.entries(windows))
  test(`weights and their gradients, ${name}, to PyTorch and back`, () => {
    const own = Graph.makeUnsafe(shape, Graph.sequential(layer, flatten()))
    const weight = own.parameters.find(({ name }) => name === "0.weight")!
    expect(PyTorch.pyTorchShape(own, weight)).toEqual([...theirs])
    const ours = PyTorch.fromPyTorch(own, weight, iota(Shape.size(theirs)))
    const [rows, columns, inputs, outputs] = [1, ...weight.shape].slice(-4) as [number, number, number, number]
    for (let a = 0; a < rows; a++)
      for (let b = 0; b < columns; b++)
        for (let k = 0; k < inputs; k++)
          for (let o = 0; o < outputs; o++) {
            const place = placeOf(a, b, k, o).reduce((index, i, axis) => index * theirs[axis]! + i, 0)
            expect(ours[((a * columns + b) * inputs + k) * outputs + o]).toBe(place)
          }
    expect(PyTorch.toPyTorch(own, weight, ours)).toEqual(iota(Shape.size(theirs)))
  })

test("a vector reshaped to an image is channels first in PyTorch, as in nn.Unflatten", () => {
  const own = Graph.makeUnsafe(
    [1],
    Graph.sequential(linear({ features: 6 }), lif(), reshape({ shape: [1, 3, 2] }), scale(1), flatten()),
  )
  const bias = own.parameters.find(({ name }) => name === "0.bias")!
  expect([...PyTorch.fromPyTorch(own, bias, iota(6))]).toEqual([0, 3, 1, 4, 2, 5])
})

test("slices of flattened features contain other elements in PyTorch, and are rejected", () => {
  const halves = (x: Graph.Tensor) => concatenate([x.pipe(slice({ start: 3 })), x.pipe(slice({ end: 3 }))])
  const own = Graph.makeUnsafe([1, 3, 2], Graph.sequential(flatten(), halves, linear({ features: 2 })))
  expect(() => PyTorch.fromPyTorch(own, own.parameters[0]!, iota(12))).toThrow(GraphError)
  const image = Graph.makeUnsafe([1, 3, 4], Graph.sequential(halves, flatten(), linear({ features: 1 })))
  // Three pixels of four channels: places of channel c and pixel p.
  const weight = PyTorch.fromPyTorch(image, image.parameters[0]!, iota(12))
  expect([...weight]).toEqual([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11])
})

test("linear layers: [out, in] becomes [in, out]", () => {
  expect(PyTorch.pyTorchShape(graph, parameter("7.weight"))).toEqual([3, 2])
  expect([...PyTorch.fromPyTorch(graph, parameter("7.weight"), Float32Array.of(1, 2, 3, 4, 5, 6))]).toEqual([
    1, 3, 5, 2, 4, 6,
  ])
})

test("after a flattened image, a linear layer's inputs are channels first in PyTorch, also through shape-preserving layers", () => {
  const ours = PyTorch.fromPyTorch(graph, parameter("5.weight"), iota(36))
  // The image is 2×3 pixels of 3 channels; output o's weights stand at o·18 + channel·6 + pixel there.
  for (let pixel = 0; pixel < 6; pixel++)
    for (let c = 0; c < 3; c++)
      for (let o = 0; o < 2; o++) expect(ours[(pixel * 3 + c) * 2 + o]).toBe(o * 18 + c * 6 + pixel)
})

describe("everything along the features of a flattened image is channels first in PyTorch", () => {
  // 1×3 pixels of 2 channels: their features 0 1 2 | 3 4 5 are ours 0 2 4 | 1 3 5.
  const theirs = [0, 1, 2, 3, 4, 5]
  const ours = [0, 3, 1, 4, 2, 5]
  const behind = (...layers: ReadonlyArray<Graph.Layer>) =>
    Graph.makeUnsafe([1, 3, 2], Graph.sequential(flatten(), ...layers, linear({ features: 2 })))
  const imported = (graph: Graph.Graph, name: string, values: ReadonlyArray<number>) => [
    ...PyTorch.fromPyTorch(graph, graph.parameters.find((each) => each.name === name)!, Float32Array.from(values)),
  ]
  const exported = (graph: Graph.Graph, name: string, values: ReadonlyArray<number>) => [
    ...PyTorch.toPyTorch(graph, graph.parameters.find((each) => each.name === name)!, Float32Array.from(values)),
  ]
  test("parameters and statistics of batch norm, after shape-preserving layers", () => {
    for (const graph of [
      behind(batchNorm()),
      behind(lif(), gain(), batchNorm()),
      behind(dropout(0.5), plif(), scale(2), flatten(), leakyReadout(), batchNorm()),
    ])
      for (const { name, shape } of graph.parameters.filter(({ shape }) => shape.length === 1 && shape[0] === 6)) {
        expect(imported(graph, name, theirs)).toEqual(ours)
        expect(exported(graph, name, ours)).toEqual(theirs)
        expect(
          PyTorch.pyTorchShape(graph, { name, shape, role: "weight", initializer: { kind: "constant", value: 0 } }),
        ).toEqual([6])
      }
  })
  test("but not after the next linear layer, and not channels of an image", () => {
    const graph = behind(linear({ features: 6 }), batchNorm())
    expect(imported(graph, "2.weight", theirs)).toEqual(theirs)
    const image = Graph.makeUnsafe([2, 2, 6], Graph.sequential(batchNorm(), flatten(), linear({ features: 2 })))
    expect(imported(image, "0.running_mean", theirs)).toEqual(theirs)
  })
  test("outputs, bias and batch norm of a branch added to them", () => {
    const graph = behind(residual(Graph.sequential(linear({ features: 6 }), batchNorm())))
    for (const name of ["1.body.0.bias", "1.body.1.weight", "1.body.1.running_var"]) {
      expect(imported(graph, name, theirs)).toEqual(ours)
      expect(exported(graph, name, ours)).toEqual(theirs)
    }
    // Their weight [out, in] holds 10·out + in.
    const weight = theirs.flatMap((out) => theirs.map((input) => 10 * out + input))
    expect(imported(graph, "1.body.0.weight", weight)).toEqual(
      ours.flatMap((input) => ours.map((out) => 10 * out + input)),
    )
  })
  test("outputs, if the read-out is a flattened image", () => {
    const graph = Graph.makeUnsafe([1, 3, 2], Graph.sequential(lif(), flatten()))
    const two = Float32Array.from([...theirs, ...theirs.map((each) => 10 + each)])
    expect([...PyTorch.valuesFromPyTorch(graph, graph.output, two)]).toEqual([
      ...ours,
      ...ours.map((each) => 10 + each),
    ])
  })
  test("adding features of images of different shapes is rejected", () => {
    const graph = Graph.makeUnsafe([2, 2, 2], (x) =>
      linear({ features: 2 })(add(flatten()(x), flatten()(conv2d({ channels: 8, kernelSize: 2 })(x)))),
    )
    const tensors = new Map(
      graph.parameters.map(({ name, shape }) => [name, { shape, values: iota(Shape.size(shape)) }]),
    )
    const error = Effect.runSync(Effect.flip(PyTorch.toStateDict(graph, tensors)))
    expect(error).toMatchObject({ _tag: "GraphError", node: "add1" })
    expect(() => PyTorch.fromPyTorch(graph, graph.parameters[0]!, iota(64))).toThrow(GraphError)
  })
})

test("on random graphs, every parameter survives a round trip from either side", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), (workload) => {
      const graph = Arbitrary.graphOf(workload)
      for (const each of graph.parameters) {
        const values = iota(Shape.size(each.shape))
        expect(PyTorch.toPyTorch(graph, each, PyTorch.fromPyTorch(graph, each, values))).toEqual(values)
        expect(PyTorch.fromPyTorch(graph, each, PyTorch.toPyTorch(graph, each, values))).toEqual(values)
      }
    }),
    { seed: 20230817, numRuns: 200 },
  )
})

describe("round trips are the identity", () => {
  for (const each of graph.parameters)
    test(each.name, () => {
      const values = iota(Shape.size(each.shape))
      const back = PyTorch.toPyTorch(graph, each, PyTorch.fromPyTorch(graph, each, values))
      expect([...back]).toEqual([...values])
    })
})

test("vectors and scalars are unchanged", () => {
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
    if (!(error instanceof MismatchError)) throw error
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
  test("is written and read back, with gains of shape [out, 1, 1, 1]", () => {
    const ours = tensorsOf(network)
    const theirs = Effect.runSync(PyTorch.toStateDict(network, ours))
    expect(theirs.get("layer1.0.conv1.gain")?.shape).toEqual([6, 1, 1, 1])
    expect(theirs.get("layer2.0.downsample.weight")?.shape).toEqual([13, 6, 1, 1])
    expect(theirs.get("layer1.0.skipinit_gain")?.shape).toEqual([])
    expect(Effect.runSync(PyTorch.fromStateDict(network, theirs))).toEqual(ours)
  })
  test("is converted to our layout; batch counters are ignored", () => {
    const values = Effect.runSync(PyTorch.fromStateDict(normalized, good()))
    expect([...values.keys()]).toEqual([...good().keys()].slice(0, -1))
    expect([...values.get("0.weight")!.values]).toEqual([0, 4, 1, 5, 2, 6, 3, 7])
  })
  test("with non-finite values is rejected in both directions, with the tensor's name", () => {
    for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      const tensors = good().set("1.running_var", { shape: [2], values: Float32Array.of(1, value) })
      const refused = { _tag: "NonFiniteTensorError", tensor: "1.running_var", index: 1, value }
      expect(Effect.runSync(Effect.flip(PyTorch.fromStateDict(normalized, tensors)))).toMatchObject(refused)
      const ours = new Map([...Effect.runSync(PyTorch.fromStateDict(normalized, good()))])
      ours.set("1.running_var", { shape: [2], values: Float32Array.of(1, value) })
      expect(Effect.runSync(Effect.flip(PyTorch.toStateDict(normalized, ours)))).toMatchObject(refused)
    }
  })
  test("that does not match is rejected with every tensor at fault", () => {
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
