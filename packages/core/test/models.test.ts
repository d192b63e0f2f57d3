/** The paper's networks: what PyTorch calls their parameters, how they start, and their options. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { Graph, Key, Models, PyTorch, Train } from "../src/index.ts"

/** Names and shapes in PyTorch, of golden/golden.py. */
const stateDicts = JSON.parse(readFileSync(new URL("golden/state-dicts.json", import.meta.url), "utf8")) as Readonly<
  Record<string, Readonly<Record<string, ReadonlyArray<number>>>>
>

const shapeOf = (model: string) =>
  model === "cnn1d"
    ? [256, 1]
    : model.startsWith("vgg")
      ? [48, 48, 2]
      : model.startsWith("nf")
        ? [224, 224, 3]
        : [32, 32, 3]

const classesOf = (model: string) => (model.startsWith("nf") ? 1000 : 10)

const graphOf = (model: Models.ModelName, options: Models.ModelOptions = {}) =>
  Graph.makeUnsafe(shapeOf(model), Models.models[model](classesOf(model), options))

const nodesOf = (graph: Graph.Graph, op: string) => graph.nodes.filter((node) => node.op === op)

test("every model of the paper has a reference state dict", () => {
  expect(Object.keys(stateDicts)).toEqual(
    Models.modelNames.filter((name) => !["mlp", "conv", "cnn1d", "mobilenet", "recurrent"].includes(name)),
  )
})

for (const [model, expected] of Object.entries(stateDicts))
  test(`the parameters of ${model} have PyTorch's names and shapes`, () => {
    const graph = graphOf(model as Models.ModelName)
    const ours = graph.parameters.map((each) => [each.name, PyTorch.pyTorchShape(graph, each)] as const)
    expect(Object.fromEntries(ours)).toEqual(expected as Record<string, Array<number>>)
  })

describe("compact models", () => {
  const inPyTorch = (graph: Graph.Graph) =>
    new Map(graph.parameters.map((each) => [each.name, PyTorch.pyTorchShape(graph, each)]))
  test("the depthwise-separable one has fewer than 50,000 parameters, and PyTorch's shapes", () => {
    const graph = graphOf("mobilenet")
    expect(Graph.parameterCount(graph)).toBe(37_162)
    const shapes = inPyTorch(graph)
    expect(shapes.get("stem.0.weight")).toEqual([16, 3, 3, 3])
    expect(shapes.get("blocks.3.0.weight")).toEqual([64, 1, 3, 3])
    expect(shapes.get("blocks.3.3.weight")).toEqual([128, 64, 1, 1])
    expect(shapes.get("classifier.weight")).toEqual([10, 128])
    expect(graph.types.get("blocks.4.5")?.shape).toEqual([4, 4, 128])
  })
  test("that of sequences has PyTorch's shapes", () => {
    const graph = graphOf("cnn1d")
    expect(Graph.parameterCount(graph)).toBe(13_786)
    const shapes = inPyTorch(graph)
    expect(shapes.get("features.0.weight")).toEqual([16, 1, 7])
    expect(shapes.get("features.4.weight")).toEqual([32, 16, 5])
    expect(graph.types.get("features.11")?.shape).toEqual([16, 64])
  })
  test("both convolve spikes behind their first layer", () => {
    for (const model of ["mobilenet", "cnn1d"] as const) {
      const graph = graphOf(model)
      const [first, second] = nodesOf(graph, "conv2d")
      expect(first?.inputs[0]).toBe("input")
      const kept = model === "mobilenet" ? "spikes" : "float32"
      expect(graph.types.get(second!.inputs[0]!)?.elements).toBe(kept)
    }
  })
})

describe("a width factor", () => {
  test("scales every layer except the input and the classes", () => {
    const graph = graphOf("resnet18", { width: 0.25 })
    const shape = (name: string) => graph.parameters.find((each) => each.name === name)?.shape
    expect(shape("conv1.weight")).toEqual([3, 3, 3, 16])
    expect(shape("layer4.0.conv1.weight")).toEqual([3, 3, 64, 128])
    expect(shape("linear.weight")).toEqual([128, 10])
  })
  test("results in at least one channel", () => {
    expect(graphOf("vgg11", { width: 0.001 }).types.get("layer1.0")?.shape).toEqual([48, 48, 1])
  })
  test("applies to the small models too", () => {
    const count = (network: Graph.Layer) => Graph.parameterCount(Graph.makeUnsafe([8, 8, 1], network))
    expect(count(Models.mlp(10, { width: 0.01 }))).toBe(64 * 10 + 10 + (10 * 10 + 10) + (10 * 10 + 10))
    const recurrent = 64 * 32 + 32 + 32 * 32 + (32 * 32 + 32 + 32 * 32) + (32 * 10 + 10)
    expect(count(Models.recurrent(10, { width: 0.125 }))).toBe(recurrent)
    expect(count(Models.conv(10, { width: 0.25 }))).toBe(9 * 8 + 8 + (9 * 8 * 16 + 16) + (4 * 16 * 10 + 10))
  })
})

describe("dropout", () => {
  const inputs = (graph: Graph.Graph) => nodesOf(graph, "dropout").map((node) => node.inputs[0])
  test("is absent by default", () => {
    for (const model of Models.modelNames) expect(inputs(graphOf(model))).toEqual([])
  })
  test("precedes a block's second convolution and the classifier of a ResNet", () => {
    const graph = graphOf("resnet18", { dropout: 0.3 })
    expect(inputs(graph)).toHaveLength(9)
    expect(inputs(graph).slice(-2)).toEqual(["layer4.1.lif2", "flat"])
    expect(graph.nodes.find(({ name }) => name === "layer4.1.conv2")?.inputs[0]).toBe("layer4.1.dropout")
  })
  test("follows every neuron of a VGG and changes no name", () => {
    const graph = graphOf("vgg13", { dropout: 0.3 })
    expect(inputs(graph)).toEqual(nodesOf(graph, "elementwise").map(({ name }) => name))
    expect(graph.parameters.map(({ name }) => name)).toEqual(graphOf("vgg13").parameters.map(({ name }) => name))
  })
})

describe("initial weights", () => {
  const values = (model: Models.ModelName, options: Models.ModelOptions) => {
    const weights = Train.initialize(graphOf(model, options), Key.make(1))
    return (name: string) => weights.get(name)!
  }
  const deviation = (all: Float32Array) => Math.sqrt(all.reduce((sum, value) => sum + value * value, 0) / all.length)
  const extreme = (all: Float32Array) => all.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  test("of a ResNet: convolutions by fan-out, their biases as in PyTorch, none in the classifier", () => {
    const of = values("resnet18", { width: 0.5 })
    // 32 → 64 channels of 3×3, 18,432 numbers: the standard error of the deviation is 0.5 %.
    expect(deviation(of("layer2.0.conv1.weight")) / Math.sqrt(2 / (64 * 9))).toBeCloseTo(1, 1)
    expect(deviation(of("layer2.0.shortcut.weight")) / Math.sqrt(2 / 64)).toBeCloseTo(1, 1)
    expect(extreme(of("layer2.0.conv1.bias"))).toBeLessThanOrEqual(1 / Math.sqrt(32 * 9))
    expect(extreme(of("layer2.0.conv1.bias"))).toBeGreaterThan(0)
    expect(extreme(of("linear.weight"))).toBeLessThanOrEqual(1 / Math.sqrt(256))
    expect(extreme(of("linear.bias"))).toBe(0)
  })
  test("of a VGG: convolutions by fan-out, the classifier with standard deviation 0.01, all biases 0", () => {
    const of = values("vgg11", { width: 0.25 })
    expect(deviation(of("layer3.4.weight")) / Math.sqrt(2 / (64 * 9))).toBeCloseTo(1, 1)
    expect(deviation(of("classifier.1.weight"))).toBeCloseTo(0.01, 3)
    expect(extreme(of("layer3.4.bias")) + extreme(of("classifier.1.bias"))).toBe(0)
  })
  test("of a normaliser-free ResNet: gains 1, skip gains and classifier 0", () => {
    const of = values("nfresnet50", { width: 0.25 })
    expect(deviation(of("layer3.1.conv2.weight")) / Math.sqrt(2 / (64 * 9))).toBeCloseTo(1, 1)
    expect([...of("layer1.0.downsample.gain")]).toEqual(Array(64).fill(1))
    expect([...of("layer1.0.skipinit_gain")]).toEqual([0])
    expect(extreme(of("conv1.bias")) + extreme(of("fc.weight")) + extreme(of("fc.bias"))).toBe(0)
  })
})

describe("a normaliser-free ResNet", () => {
  test("divides by β = √(1 + 0.04·blocks since the last variance reset)", () => {
    const graph = graphOf("nfresnet34", { width: 0.125 })
    const beta = Object.fromEntries(
      nodesOf(graph, "scale")
        .filter(({ name }) => name.endsWith("scale1") && graph.types.get(name)?.batched)
        .map(({ name, attributes }) => [name.replace(".scale1", ""), 1 / (attributes.factor as number)]),
    )
    // The very first block has β = 1 and no division: its first scale is α.
    expect(beta["layer1.0"]).toBeCloseTo(5, 6)
    expect(beta["layer1.1"]).toBeCloseTo(Math.sqrt(1.04), 6)
    expect(beta["layer2.0"]).toBeCloseTo(Math.sqrt(1.12), 6)
    expect(beta["layer2.1"]).toBeCloseTo(Math.sqrt(1.04), 6)
    expect(beta["layer3.0"]).toBeCloseTo(Math.sqrt(1.16), 6)
    expect(beta["layer3.5"]).toBeCloseTo(Math.sqrt(1.2), 6)
  })
  test("convolves spikes, with the factor 2.74 in the weights", () => {
    const graph = graphOf("nfresnet50", { width: 0.125 })
    const [first, ...others] = nodesOf(graph, "conv2d")
    expect(first?.inputs[0]).toBe("input")
    for (const { inputs } of others) expect(graph.types.get(inputs[0]!)?.elements).toBe("spikes")
    const factors = nodesOf(graph, "scale").filter(({ name }) => name.endsWith(".scaled"))
    expect(factors).toHaveLength(others.length)
    expect(new Set(factors.map(({ attributes }) => attributes.factor))).toEqual(new Set([2.74]))
  })
})
