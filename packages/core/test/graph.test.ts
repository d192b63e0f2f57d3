/** What graphs infer, and what they refuse in which words. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import {
  adaptiveAveragePool,
  add,
  averagePool,
  batchNorm,
  conv2d,
  dropout,
  flatten,
  Graph,
  GraphError,
  gain,
  integrateAndFire,
  leakyReadout,
  lif,
  linear,
  Models,
  maxPool,
  plif,
  residual,
  scale,
  scaledWeightStandardizedConv2d,
} from "../src/index.ts"

/** The message of the GraphError that building ends with. */
const refusal = (shape: ReadonlyArray<number>, ...layers: ReadonlyArray<Graph.Layer>): string => {
  try {
    Graph.makeUnsafe(shape, Graph.sequential(...layers))
  } catch (error) {
    if (error instanceof GraphError) return error.message
    throw error
  }
  return "no error"
}

/** Shape and elements of a layer's output. */
const typeOf = (shape: ReadonlyArray<number>, layer: Graph.Layer, before: Graph.Layer = (x) => x) => {
  const network: Graph.Layer = (x) => x.pipe(before, Graph.named("here", layer), linear({ features: 2 }))
  const graph = Graph.makeUnsafe(shape, network)
  const { shape: found, elements } = graph.types.get("here")!
  return [found, elements] as const
}

describe("shapes", () => {
  const cases: ReadonlyArray<
    readonly [string, ReadonlyArray<number>, Graph.Layer, ReadonlyArray<number>, "float32" | "spikes"]
  > = [
    ["linear", [3, 4], linear({ features: 5 }), [5], "float32"],
    ["conv2d", [7, 6, 3], conv2d({ channels: 8, kernelSize: 3 }), [5, 4, 8], "float32"],
    [
      "conv2d, stride 2, padding 1",
      [7, 6, 3],
      conv2d({ channels: 8, kernelSize: 3, stride: 2, padding: 1 }),
      [4, 3, 8],
      "float32",
    ],
    [
      "standardised conv2d",
      [7, 6, 3],
      scaledWeightStandardizedConv2d({ channels: 2, kernelSize: 2, stride: 3 }),
      [2, 2, 2],
      "float32",
    ],
    ["batchNorm", [7, 6, 3], batchNorm(), [7, 6, 3], "float32"],
    ["averagePool", [7, 6, 3], averagePool({ kernelSize: 2 }), [3, 3, 3], "float32"],
    [
      "averagePool with a stride",
      [7, 6, 3],
      averagePool({ kernelSize: 3, stride: 1, padding: 1 }),
      [7, 6, 3],
      "float32",
    ],
    ["adaptiveAveragePool", [7, 6, 3], adaptiveAveragePool({ outputSize: 2 }), [2, 2, 3], "float32"],
    ["maxPool", [7, 6, 3], maxPool({ kernelSize: 2 }), [3, 3, 3], "float32"],
    ["flatten", [7, 6, 3], flatten(), [126], "float32"],
    ["dropout", [7, 6, 3], dropout(0.5), [7, 6, 3], "float32"],
    ["scale", [7, 6, 3], scale(2), [7, 6, 3], "float32"],
    ["gain", [7, 6, 3], gain(), [7, 6, 3], "float32"],
    ["lif", [7, 6, 3], lif(), [7, 6, 3], "spikes"],
    ["smooth lif", [7, 6, 3], lif({ smooth: true }), [7, 6, 3], "float32"],
    ["if", [7], integrateAndFire(), [7], "spikes"],
    ["plif", [7], plif(), [7], "spikes"],
    ["leakyReadout", [7], leakyReadout(), [7], "float32"],
  ]
  for (const [name, shape, layer, output, elements] of cases)
    test(name, () => {
      expect(typeOf(shape, layer)).toEqual([output, elements])
    })
  test("spikes stay spikes under flatten and max pooling, and become numbers under the average", () => {
    const after = (layer: Graph.Layer) => typeOf([4, 4, 2], layer, lif())[1]
    expect([flatten(), maxPool({ kernelSize: 2 }), averagePool({ kernelSize: 2 }), dropout(0.1)].map(after)).toEqual([
      "spikes",
      "spikes",
      "float32",
      "float32",
    ])
  })
})

describe("shapes that do not fit are named, both of them", () => {
  test("linear", () => {
    const graph = Graph.makeUnsafe([4], linear({ features: 3 }))
    const json = Graph.toJson(graph)
    const wrong = { ...json, input: [2, 3] }
    expect(Effect.runSync(Effect.flip(Graph.fromJson(wrong))).message).toBe(
      "linear1: linear: an input of 2×3 has 6 elements, but the weight takes 4",
    )
  })
  test("add", () => {
    const network: Graph.Layer = (x) => add(linear({ features: 3 })(x), linear({ features: 4 })(x))
    expect(refusal([5], network)).toBe("add1: add: the two inputs are 3 and 4; they must be the same")
  })
  test("residual", () => {
    const body = conv2d({ channels: 8, kernelSize: 3, stride: 2, padding: 1 })
    expect(refusal([8, 8, 4], residual(body))).toBe(
      "0.add1: add: the two inputs are 4×4×8 and 8×8×4; they must be the same",
    )
  })
  test("convolution of what is no image", () => {
    expect(refusal([12], conv2d({ channels: 8, kernelSize: 3 }))).toBe(
      "0: conv2d: the input is 12; it must be an image, height×width×channels",
    )
  })
  test("a window larger than the image", () => {
    expect(refusal([4, 3, 1], conv2d({ channels: 8, kernelSize: 6, padding: 1 }))).toBe(
      "0: conv2d: a window of 6×6 does not fit an image of 4×3×1 with padding 1",
    )
    expect(refusal([4, 3, 1], averagePool({ kernelSize: 4 }))).toBe(
      "0: averagePool: a window of 4×4 does not fit an image of 4×3×1 with padding 0",
    )
  })
  test("a weight for other channels", () => {
    const json = Graph.toJson(
      Graph.makeUnsafe([4, 4, 2], Graph.sequential(conv2d({ channels: 3, kernelSize: 1 }), flatten())),
    )
    expect(Effect.runSync(Effect.flip(Graph.fromJson({ ...json, input: [4, 4, 5] }))).message).toBe(
      "0: conv2d: the input has 5 channels, but the weight takes 2",
    )
  })
  test("a read-out that is an image", () => {
    expect(refusal([4, 4, 2], conv2d({ channels: 3, kernelSize: 3 }))).toBe(
      "0: the read-out is 2×2×3; it must be one row of classes: add flatten()",
    )
  })
  test("an input without extent", () => {
    expect(refusal([4, 0], flatten())).toBe("input: the input's shape is 4×0; every extent must be at least 1")
    expect(refusal([], flatten())).toBe("input: the input's shape is scalar; every extent must be at least 1")
  })
  test("no layer", () => {
    expect(refusal([4])).toBe("input: the network has no layer")
  })
})

describe("attributes out of range end the building, with the layer named", () => {
  const cases: ReadonlyArray<readonly [string, Graph.Layer, RegExp]> = [
    ["tau 0.5", lif({ tau: 0.5 }), /^0: neuron: .*decay/s],
    ["tau 0", lif({ tau: 0 }), /^0: neuron: .*decay/s],
    ["threshold 0", lif({ threshold: 0 }), /^0: neuron: .*threshold/s],
    ["threshold NaN", lif({ threshold: Number.NaN }), /^0: neuron: .*threshold/s],
    ["a surrogate's width", lif({ surrogate: { name: "rectangle", width: 0 } }), /^0: neuron: .*surrogate/s],
    ["a read-out's tau", leakyReadout({ tau: 0.1 }), /^0: leakyReadout: .*decay/s],
    ["dropout 1", dropout(1), /^0.mask: dropoutMask: .*rate/s],
    ["dropout −0.1", dropout(-0.1), /^0.mask: dropoutMask: .*rate/s],
    ["scale infinity", scale(Number.POSITIVE_INFINITY), /^0: scale: .*factor/s],
    ["stride 0", averagePool({ kernelSize: 2, stride: 0 }), /^0: averagePool: .*stride/s],
    ["padding 0.5", conv2d({ channels: 2, kernelSize: 2, padding: 0.5 }), /^0: conv2d: .*padding/s],
    ["padding of half a window", maxPool({ kernelSize: 2, padding: 2 }), /^0: maxPool: padding 2 is more than half/],
    ["adaptive size 0", adaptiveAveragePool({ outputSize: 0 }), /^0: adaptiveAveragePool: .*outputSize/s],
    ["no features", linear({ features: 0 }), /^0: linear: the output would be 0; every extent/],
  ]
  for (const [name, layer, message] of cases)
    test(name, () => {
      expect(refusal([8, 8, 2], layer, flatten())).toMatch(message)
    })
})

describe("names", () => {
  const names = (graph: Graph.Graph) => graph.nodes.map(({ name }) => name)
  test("sequential counts from 0, other layers by kind from 1", () => {
    const graph = Graph.makeUnsafe([4], (x) =>
      x.pipe(linear({ features: 3 }), lif(), linear({ features: 2 }), Graph.sequential(lif(), linear({ features: 2 }))),
    )
    expect(names(graph)).toEqual(["linear1", "lif1", "linear2", "0", "1"])
    expect(graph.parameters.map(({ name }) => name)).toEqual([
      "linear1.weight",
      "linear1.bias",
      "linear2.weight",
      "linear2.bias",
      "1.weight",
      "1.bias",
    ])
  })
  test("blocks put their own name before those of their layers, and end with themselves", () => {
    const inner = Graph.block((x) => x.pipe(Graph.named("fc", linear({ features: 3 })), lif()))
    const graph = Graph.makeUnsafe([4], (x) =>
      x.pipe(Graph.named("a", inner), Graph.named("b", inner), Graph.named("out", linear({ features: 2 }))),
    )
    expect(names(graph)).toEqual(["a.fc", "a.lif1", "b.fc", "b.lif1", "out"])
  })
  test("a name is used once", () => {
    const twice: Graph.Layer = (x) => {
      const named = Graph.named("fc", linear({ features: 3 }))
      return named(named(x))
    }
    expect(refusal([4], twice)).toBe("fc.weight: the name is used twice; give one of the two another")
    expect(refusal([4], (x) => lif()(Graph.named("a", lif())(Graph.named("a", lif())(x))))).toBe(
      "a: the name is used twice; give one of the two another",
    )
  })
  test("a gain's parameter can have a name of its own", () => {
    const graph = Graph.makeUnsafe([4], Graph.named("net", Graph.sequential(gain({ parameter: "g", initial: 0.5 }))))
    expect(graph.parameters).toEqual([
      { name: "net.g", shape: [], initializer: { kind: "constant", value: 0.5 }, role: "weight" },
    ])
  })
})

test("make gives the error as a value", () => {
  const error = Effect.runSync(Effect.flip(Graph.make([4], lif({ tau: 0.5 }))))
  expect(error).toBeInstanceOf(GraphError)
  expect(error.node).toBe("lif1")
})

test("make leaves a fault of the network's own code a defect", () => {
  const network: Graph.Layer = () => {
    throw new Error("a mistake")
  }
  expect(() => Effect.runSync(Graph.make([4], network))).toThrow("a mistake")
})

test("parameters are counted without statistics", () => {
  const graph = Graph.makeUnsafe(
    [6, 6, 2],
    Graph.sequential(conv2d({ channels: 3, kernelSize: 3 }), batchNorm(), lif(), flatten(), linear({ features: 5 })),
  )
  // 3·3·2·3 + 3, 3 + 3, 4·4·3·5 + 5
  expect(Graph.parameterCount(graph)).toBe(57 + 6 + 245)
})

describe("named models", () => {
  test("mlp has 784-1000-1000-10", () => {
    const graph = Graph.makeUnsafe([28, 28, 1], Models.mlp(10))
    expect(graph.parameters.map(({ name, shape }) => [name, shape])).toEqual([
      ["0.weight", [784, 1000]],
      ["0.bias", [1000]],
      ["2.weight", [1000, 1000]],
      ["2.bias", [1000]],
      ["4.weight", [1000, 10]],
      ["4.bias", [10]],
    ])
  })
  test("conv has two stages of 32 and 64 channels", () => {
    const graph = Graph.makeUnsafe([28, 28, 1], Models.conv(10))
    expect(graph.nodes.map(({ op, name }) => [op, graph.types.get(name)?.shape])).toEqual([
      ["conv2d", [28, 28, 32]],
      ["neuron", [28, 28, 32]],
      ["averagePool", [14, 14, 32]],
      ["conv2d", [14, 14, 64]],
      ["neuron", [14, 14, 64]],
      ["averagePool", [7, 7, 64]],
      ["flatten", [3136]],
      ["linear", [10]],
    ])
  })
})

describe("a graph that was written as JSON", () => {
  const json = Graph.toJson(Graph.makeUnsafe([4], Graph.sequential(linear({ features: 3 }), lif())))
  const refused = (changed: unknown) => Effect.runSync(Effect.flip(Graph.fromJson(changed))).message
  test("is read back the same", () => {
    const read = Effect.runSync(Graph.fromJson(JSON.parse(JSON.stringify(json))))
    expect(Graph.toJson(read)).toEqual(json)
  })
  test("is refused with the node at fault where it was changed", () => {
    const [first, second] = json.nodes
    expect(refused({ ...json, nodes: [{ ...first, op: "linaer" }, second] })).toBe("0: there is no op linaer")
    expect(refused({ ...json, nodes: [second, first] })).toBe("1: its input 0 does not stand before it")
    expect(refused({ ...json, nodes: [first, { ...second, name: "0" }] })).toBe("0: the name is used twice")
    expect(refused({ ...json, output: "2" })).toBe("2: the output is no node of the graph")
    expect(refused({ ...json, nodes: [first, { ...second, attributes: {} }] })).toStartWith("1: neuron: ")
    expect(refused({ ...json, version: 2 })).toStartWith("graph: ")
    expect(refused({ ...json, input: [0] })).toStartWith("graph: ")
    expect(refused("text")).toStartWith("graph: ")
  })
})
