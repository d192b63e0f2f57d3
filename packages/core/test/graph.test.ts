/** What graphs infer, and what they refuse. */
import { describe, expect, test } from "bun:test"
import { Effect, Schema } from "effect"
import {
  adaptiveAveragePool,
  add,
  averagePool,
  batchNorm,
  conv1d,
  conv2d,
  convTranspose2d,
  currentBasedLif,
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
  Neuron,
  OptionError,
  plif,
  residual,
  scale,
  scaledWeightStandardizedConv2d,
  slice,
  upsample,
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
  const network: Graph.Layer = (x) => x.pipe(before, Graph.named("here", layer), flatten(), linear({ features: 2 }))
  const graph = Graph.makeUnsafe(shape, network)
  const { shape: found, elements } = graph.types.get("here")!
  return [found, elements] as const
}

describe("shapes", () => {
  const cases: ReadonlyArray<
    readonly [string, ReadonlyArray<number>, Graph.Layer, ReadonlyArray<number>, "float32" | "spikes"]
  > = [
    ["linear", [12], linear({ features: 5 }), [5], "float32"],
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
    [
      "pairs and dilation",
      [7, 9, 2],
      conv2d({ channels: 6, kernelSize: [3, 5], stride: [2, 1], padding: [1, 2], dilation: [1, 2] }),
      [4, 5, 6],
      "float32",
    ],
    ["same", [7, 6, 2], conv2d({ channels: 5, kernelSize: [4, 3], padding: "same" }), [7, 6, 5], "float32"],
    ["conv1d", [12, 3], conv1d({ channels: 6, kernelSize: 5, stride: 2 }), [4, 6], "float32"],
    [
      "convTranspose2d",
      [3, 4, 2],
      convTranspose2d({ channels: 5, kernelSize: 3, stride: 2, padding: 1, outputPadding: [1, 0] }),
      [6, 7, 5],
      "float32",
    ],
    ["linear over the last axis", [3, 4, 2], linear({ features: 5 }), [3, 4, 5], "float32"],
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
  test("spikes stay spikes through flatten, max pooling and rearrangements, and become numbers in average pooling", () => {
    const after = (layer: Graph.Layer) => typeOf([4, 4, 2], layer, lif())[1]
    const kept = [flatten(), maxPool({ kernelSize: 2 }), upsample({ scaleFactor: 2 }), slice({ end: 1 })]
    expect([...kept, averagePool({ kernelSize: 2 }), dropout(0.1)].map(after)).toEqual([
      "spikes",
      "spikes",
      "spikes",
      "spikes",
      "float32",
      "float32",
    ])
  })
})

describe("errors name both incompatible shapes", () => {
  test("linear", () => {
    const graph = Graph.makeUnsafe([4], linear({ features: 3 }))
    const json = Graph.toJson(graph)
    const reason = (input: ReadonlyArray<number>) =>
      Effect.runSync(Effect.flip(Graph.fromJson({ ...json, input }))).reason
    expect(reason([5])).toBe("linear: the weight is 4×3; it must be 5×n")
    // The last axis alone counts, as in PyTorch.
    expect(reason([2, 3])).toBe("linear: the weight is 4×3; it must be 3×n")
    expect(refusal([2, 2, 3], linear({ features: 3 }))).toContain("add flatten()")
  })
  test("groups", () => {
    expect(refusal([4, 4, 4], conv2d({ channels: 8, kernelSize: 3, groups: 3 }))).toBe(
      "0: conv2d: groups is 3, which does not divide the 4 input channels",
    )
    expect(refusal([9, 6], conv1d({ channels: 8, kernelSize: 3, groups: 3 }))).toBe(
      "0: conv1d: groups is 3, which does not divide the 8 output channels",
    )
  })
  test("windows", () => {
    expect(refusal([4, 6, 1], conv2d({ channels: 2, kernelSize: [3, 2], dilation: [2, 1] }))).toBe(
      "0: conv2d: a window of 3×2 does not fit an image of 4×6×1 with padding 0 and dilation 2×1",
    )
    expect(refusal([4, 1], conv1d({ channels: 2, kernelSize: 6 }))).toBe(
      "0: conv2d: a window of 6 does not fit a sequence of 4×1 with padding 0",
    )
    expect(refusal([4, 4, 1], conv2d({ channels: 2, kernelSize: 3, stride: 2, padding: "same" }))).toBe(
      '0: conv2d: padding "same" needs a stride of 1, not 2×2',
    )
    expect(refusal([4, 4, 1], conv1d({ channels: 2, kernelSize: 3 }))).toBe(
      "0: conv1d: the input is 4×4×1; it must be a sequence, length×channels",
    )
    expect(refusal([1, 1, 1], maxPool({ kernelSize: 2, dilation: 4, padding: 2 }))).toMatch(/^0: maxPool: .*1×1×1/)
  })
  test("add", () => {
    const network: Graph.Layer = (x) => add(linear({ features: 3 })(x), linear({ features: 4 })(x))
    expect(refusal([5], network)).toMatch(/^add1: add: .*3.*4/)
  })
  test("residual", () => {
    const body = conv2d({ channels: 8, kernelSize: 3, stride: 2, padding: 1 })
    expect(refusal([8, 8, 4], residual(body))).toMatch(/^0.add1: add: .*4×4×8.*8×8×4/)
  })
  test("convolution of a vector", () => {
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
  test("a weight for a different number of channels", () => {
    const json = Graph.toJson(
      Graph.makeUnsafe([4, 4, 2], Graph.sequential(conv2d({ channels: 3, kernelSize: 1 }), flatten())),
    )
    expect(Effect.runSync(Effect.flip(Graph.fromJson({ ...json, input: [4, 4, 5] }))).message).toBe(
      "0: conv2d: the weight is 1×1×2×3; it must be 1×1×5×n",
    )
  })
  test("a read-out that is an image", () => {
    expect(refusal([4, 4, 2], conv2d({ channels: 3, kernelSize: 3 }))).toBe(
      "0: the read-out is 2×2×3; it must be one row of classes: add flatten()",
    )
  })
  test("an input without extent", () => {
    for (const shape of [[4, 0], [], [1.5], [-2], [Number.NaN], 4, undefined, "4", [2 ** 16, 2 ** 15]])
      expect(refusal(shape as ReadonlyArray<number>, flatten())).toStartWith("input: ")
  })
  test("no layers", () => {
    expect(refusal([4])).toBe("input: the network has no layer")
  })
})

describe("options out of range abort construction, with the layer and the given option", () => {
  const odd = (layer: unknown) => layer as Graph.Layer
  const cases: ReadonlyArray<readonly [string, Graph.Layer, RegExp]> = [
    ["tau 0.5", lif({ tau: 0.5 }), /^0: lif: tau is 0.5; .*at least 1/],
    ["tau 0", lif({ tau: 0 }), /^0: lif: tau is 0;/],
    ["tau NaN", lif({ tau: Number.NaN }), /^0: lif: tau is NaN;/],
    ["threshold 0", lif({ threshold: 0 }), /^0: lif: threshold is 0;/],
    ["threshold NaN", lif({ threshold: Number.NaN }), /^0: lif: threshold is NaN;/],
    ["threshold beyond float32", integrateAndFire({ threshold: 1e39 }), /^0: if: threshold is 1e\+39;/],
    ["threshold below float32", plif({ threshold: 1e-60 }), /^0: plif: threshold is 1e-60;/],
    ["reset", lif({ reset: "sft" as "soft" }), /^0: lif: reset is "sft"; .*did you mean "soft"/],
    ["a surrogate's width", lif({ surrogate: { name: "rectangle", width: 0 } }), /^0: lif: surrogate.width is 0;/],
    ["alpha beyond float32", lif({ surrogate: { name: "sigmoid", alpha: 1e300 } }), /surrogate.alpha is 1e\+300;/],
    ["alpha² beyond float32", lif({ surrogate: { name: "triangle", alpha: 1e20 } }), /surrogate.alpha is .*alpha²/],
    ["π/2·alpha beyond float32", lif({ surrogate: { name: "atan", alpha: 3e38 } }), /surrogate.alpha is 3e\+38;/],
    ["no alpha", lif({ surrogate: odd({ name: "triangle" }) as never }), /surrogate.alpha is missing/],
    ["an unknown surrogate", lif({ surrogate: odd({ name: "triangel", alpha: 1 }) as never }), /^0: lif: surrogate is/],
    ["a misspelt option", lif(odd({ treshold: 1 }) as never), /^0: lif: there is no option "treshold" .*"threshold"/],
    ["plif that cannot leak", plif({ tau: Number.POSITIVE_INFINITY }), /^0: plif: tau is Infinity; .*finite/],
    ["plif of tau 1", plif({ tau: 1 }), /^0: plif: tau is 1;/],
    ["a read-out's tau", leakyReadout({ tau: 0.1 }), /^0: leakyReadout: tau is 0.1;/],
    ["dropout 1", dropout(1), /^0: dropout: rate is 1;/],
    ["dropout −0.1", dropout(-0.1), /^0: dropout: rate is -0.1;/],
    ["dropout that is 1 in float32", dropout(1 - 1e-10), /^0: dropout: rate is/],
    ["scale infinity", scale(Number.POSITIVE_INFINITY), /^0: scale: factor is Infinity;/],
    ["scale beyond float32", scale(-1e39), /^0: scale: factor is -1e\+39;/],
    ["gain beyond float32", gain({ initial: 1e39 }), /^0: gain: initial is 1e\+39;/],
    ["stride 0", averagePool({ kernelSize: 2, stride: 0 }), /^0: averagePool: stride is 0;/],
    ["stride 2^15", conv2d({ channels: 2, kernelSize: 2, stride: 2 ** 15 }), /^0: conv2d: stride is 32768;/],
    ["pool of stride 2^15", averagePool({ kernelSize: 2, stride: 2 ** 15 }), /^0: averagePool: stride is 32768;/],
    ["padding 0.5", conv2d({ channels: 2, kernelSize: 2, padding: 0.5 }), /^0: conv2d: padding is 0.5;/],
    ["more padding than half", maxPool({ kernelSize: 2, padding: 2 }), /^0: maxPool: padding 2 is more than half/],
    ["and of an average", averagePool({ kernelSize: 3, padding: 2 }), /^0: averagePool: padding 2 is more than half/],
    ["adaptive size 0", adaptiveAveragePool({ outputSize: 0 }), /^0: adaptiveAveragePool: outputSize is 0;/],
    ["no features", linear({ features: 0 }), /^0: linear: features is 0;/],
    ["2.5 features", linear({ features: 2.5 }), /^0: linear: features is 2.5;/],
    ["features that are left out", linear(odd({}) as never), /^0: linear: features is missing; .*whole number/],
    ["too many features", Graph.sequential(flatten(), linear({ features: 2 ** 30 })), /^0.1.weight: .*2\^30/],
    ["no options", conv2d(undefined as never), /^0: conv2d: the value is missing;/],
    [
      "a start beyond float32",
      conv2d({ channels: 1, kernelSize: 1, initial: { weight: { kind: "normal", standardDeviation: 1e38 } } }),
      /^0: conv2d: initial.weight.standardDeviation is 1e\+38;/,
    ],
    [
      "a start that is NaN",
      conv2d({ channels: 1, kernelSize: 1, initial: { bias: { kind: "constant", value: Number.NaN } } }),
      /^0: conv2d: initial.bias.value is NaN;/,
    ],
    [
      "one weight that is standardised",
      Graph.sequential(
        conv2d({ channels: 1, kernelSize: 1 }),
        scaledWeightStandardizedConv2d({ channels: 2, kernelSize: 1 }),
      ),
      /^0.1.standardized: .*variance/,
    ],
    ["a block's beta", Models.normalizerFreeBlock({ channels: 2, beta: 0 }), /^0: normalizerFreeBlock: beta is 0;/],
    ["a block's stride", Models.preActivationBlock({ channels: 2, stride: 0 }), /^0: preActivationBlock: stride is 0;/],
    ["classes", Models.conv(0), /^0: conv: classes is 0;/],
    ["width 0", Models.resnet18(10, { width: 0 }), /^0: resnet18: width is 0;/],
    ["width without end", Models.mlp(10, { width: 1e300 }), /^0: mlp: width is 1e\+300;/],
    ["a model's dropout", Models.vgg11(10, { dropout: 1 }), /^0: vgg11: dropout is 1;/],
    ["a model's neurons", Models.conv(10, { neuron: { tau: 0 } }), /^0: conv: neuron.tau is 0;/],
    ["a model's misspelt option", Models.conv(10, odd({ widht: 2 }) as never), /no option "widht" .*"width"/],
    ["a layer that was not called", lif as never, /^0: lif was not called/],
    ["a model that was not called", Models.conv as never, /^0: a layer was not called/],
    ["a layer that returns nothing", (() => undefined) as never, /^0: .*undefined/],
    ["no layer at all", undefined as never, /^0: .*undefined/],
    ["a sum with no tensor", add as never, /^add1: /],
    ["a pipe through an uncalled layer", (x) => x.pipe(lif as never, flatten()), /flatten: .*called/],
    ["a name that is none", Graph.named("a\u001b[31m", lif()), /^"a.+u001b.31m": .* must be a name/],
  ]
  for (const [name, layer, message] of cases)
    test(name, () => {
      expect(refusal([8, 8, 2], layer, flatten())).toMatch(message)
    })
  for (const layer of [conv2d, scaledWeightStandardizedConv2d])
    for (const kernelSize of [0, -1, 2.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31])
      test(`the window of a convolution: ${kernelSize}`, () => {
        const error = Effect.runSync(Effect.flip(Graph.make([5, 3, 1], layer({ channels: 2, kernelSize }))))
        expect(error.node).toBe("conv2d1")
        expect(error.reason).toContain(`kernelSize is ${kernelSize};`)
      })
  test("an op from outside the library", () => {
    const own = {
      ...{ name: "mine", attributes: Schema.Struct({}), inputs: ["value" as const] },
      ...{ infer: ([x]: ReadonlyArray<unknown>) => x as never, forward: () => {}, backward: () => {} },
    }
    const network: Graph.Layer = (value) => Graph.node(value, "own", own, {}, [value])
    expect(refusal([3], network)).toMatch(/"mine"/)
  })
  test("a tensor of another network", () => {
    let other: Graph.Tensor | undefined
    Graph.makeUnsafe([3], (x) => {
      other = x
      return lif()(x)
    })
    expect(refusal([3], (x) => add(x, other as Graph.Tensor))).toStartWith("add1: ")
  })
  test("valid options at the limits: no leak, windows of one pixel, undefined options", () => {
    expect(refusal([4], lif({ tau: Number.POSITIVE_INFINITY }))).toBe("no error")
    expect(refusal([4, 4, 1], maxPool({ kernelSize: 2, padding: 1 }), flatten())).toBe("no error")
    const one = conv2d({ channels: 1, kernelSize: 1, stride: undefined, bias: undefined } as never)
    expect(refusal([1, 1, 1], one, flatten())).toBe("no error")
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
  test("a block's name precedes those of its layers and applies to nothing after it", () => {
    const inner = Graph.block((x) => x.pipe(Graph.named("fc", linear({ features: 3 })), lif()))
    const graph = Graph.makeUnsafe([4], (x) =>
      x.pipe(Graph.named("a", inner), Graph.named("b", inner), Graph.named("out", linear({ features: 2 }))),
    )
    expect(names(graph)).toEqual(["a.fc", "a.lif1", "b.fc", "b.lif1", "out"])
  })
  test("names are unique", () => {
    const twice: Graph.Layer = (x) => {
      const named = Graph.named("fc", linear({ features: 3 }))
      return named(named(x))
    }
    expect(refusal([4], twice)).toBe("fc.weight: the name is used twice")
    expect(refusal([4], (x) => lif()(Graph.named("a", lif())(Graph.named("a", lif())(x))))).toBe(
      "a: the name is used twice",
    )
  })
  test("the parameter of a gain can be named", () => {
    const graph = Graph.makeUnsafe([4], Graph.named("net", Graph.sequential(gain({ parameter: "g", initial: 0.5 }))))
    expect(graph.parameters).toEqual([
      { name: "net.g", shape: [], initializer: { kind: "constant", value: 0.5 }, role: "weight" },
    ])
  })
})

test("what a layer is given is checked where it is built", () => {
  const step = () => ({ states: {} }) as never
  for (const [shape, layer] of [
    [[4, 4, 1], convTranspose2d({ channels: 1, kernelSize: 3, padding: 4 })],
    [[4], currentBasedLif({ decay: Neuron.learn(1.5) })],
    [[4], currentBasedLif({ decay: Float64Array.of(0.5) as never })],
  ] as const)
    expect(Effect.runSync(Effect.flip(Graph.make(shape, Graph.sequential(layer, flatten()))))).toBeInstanceOf(
      GraphError,
    )
  const silent = Neuron.make("silent", { parameters: {}, states: [], step })
  expect(() => Graph.makeUnsafe([4], silent())).toThrow(OptionError)
})

test("make fails with the error", () => {
  const error = Effect.runSync(Effect.flip(Graph.make([4], lif({ tau: 0.5 }))))
  expect(error).toBeInstanceOf(GraphError)
  expect(error.node).toBe("lif1")
})

test("an exception of the network's own code stays a defect", () => {
  const network: Graph.Layer = () => {
    throw new Error("a mistake")
  }
  expect(() => Effect.runSync(Graph.make([4], network))).toThrow("a mistake")
})

test("the number of parameters excludes statistics", () => {
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
      ["elementwise", [28, 28, 32]],
      ["averagePool", [14, 14, 32]],
      ["conv2d", [14, 14, 64]],
      ["elementwise", [14, 14, 64]],
      ["averagePool", [7, 7, 64]],
      ["flatten", [3136]],
      ["linear", [10]],
    ])
  })
})

test("graphs written before leaky neurons and read-outs were expressions are converted", () => {
  const layers = Graph.sequential(
    lif({ tau: 4, reset: "hard", threshold: 0.5 }),
    linear({ features: 3 }),
    plif({ surrogate: { name: "atan", alpha: 2 } }),
    leakyReadout({ tau: 8 }),
  )
  const now = Graph.toJson(Graph.makeUnsafe([4], layers))
  const older: Readonly<Record<string, object>> = {
    "0": { op: "neuron", attributes: { ...firing, threshold: 0.5, reset: "hard", decay: 0.75 } },
    "2.fixed0": { op: "decay", attributes: {} },
    "2": { op: "neuron", attributes: { ...firing, surrogate: { name: "atan", alpha: 2 } } },
    "3": { op: "leakyReadout", attributes: { decay: 0.875 } },
  }
  const json = { ...now, nodes: now.nodes.map((node) => ({ ...node, ...older[node.name] })) }
  expect(Graph.toJson(Effect.runSync(Graph.fromJson(json)))).toEqual(now)
  const wrong = { ...json, nodes: json.nodes.map((node) => (node.name === "3" ? { ...node, attributes: {} } : node)) }
  expect(Effect.runSync(Effect.flip(Graph.fromJson(wrong))).message).toStartWith("3: leakyReadout: tau is NaN")
})

const firing = { threshold: 1, reset: "soft", surrogate: { name: "triangle", alpha: 1 } }

describe("a graph as JSON", () => {
  const json = Graph.toJson(Graph.makeUnsafe([4], Graph.sequential(linear({ features: 3 }), lif())))
  const refused = (changed: unknown) => Effect.runSync(Effect.flip(Graph.fromJson(changed))).message
  test("is read back unchanged", () => {
    const read = Effect.runSync(Graph.fromJson(JSON.parse(JSON.stringify(json))))
    expect(Graph.toJson(read)).toEqual(json)
  })
  test("is rejected with the node at fault if it was changed", () => {
    const [first, second] = json.nodes
    expect(refused({ ...json, nodes: [{ ...first, op: "linaer" }, second] })).toBe('0: there is no op "linaer"')
    expect(refused({ ...json, nodes: [second, first] })).toBe('1: its input "0" is not defined before it')
    expect(refused({ ...json, nodes: [first, { ...second, name: "0" }] })).toBe("0: the name is used twice")
    expect(refused({ ...json, output: "2" })).toStartWith("graph: the output")
    expect(refused({ ...json, nodes: [first, { ...second, attributes: {} }] })).toStartWith("1: elementwise: ")
    expect(refused({ ...json, version: 2 })).toStartWith("graph: ")
    expect(refused({ ...json, input: [0] })).toStartWith("graph: ")
    expect(refused("text")).toStartWith("graph: ")
  })
})
