/** Values and gradients over time on networks small enough for a pencil: delays, recurrence, cells with parameters. */
import { describe, expect, test } from "bun:test"
import { Effect, type Scope } from "effect"
import {
  Backend,
  delay,
  elementwise,
  flatten,
  Graph,
  linear,
  Neuron,
  Optimizer,
  Policy,
  Program,
  recurrent,
} from "../src/index.ts"
import { Conformance } from "../src/testing/index.ts"
import { expectNear } from "./support.ts"

type Values = ReadonlyArray<number>

interface Batch {
  /** One sample, a row a time step. */
  readonly frames: ReadonlyArray<Values>
  readonly parameters?: Readonly<Record<string, Values>>
}

const onOracle = <A, E>(effect: Effect.Effect<A, E, Backend | Scope.Scope>): A =>
  effect.pipe(Effect.scoped, Effect.provide(Conformance.oracle()), Effect.runSync)

const written = (program: Program.Program, graph: Graph.Graph, parameters: Batch["parameters"]) =>
  Effect.gen(function* () {
    expect(Program.defects(program)).toEqual([])
    const executable = yield* (yield* Backend).prepare(program)
    for (const { name, initializer } of graph.parameters) {
      const values = parameters?.[name] ?? (initializer.kind === "values" ? initializer.values : [])
      yield* executable.write(Program.bufferNames.parameter(name), Float32Array.from(values))
    }
    return executable
  })

/** What a layer gives in every time step. */
const valuesOf = (input: Values, layer: Graph.Layer, { frames, parameters }: Batch): ReadonlyArray<Values> => {
  const graph = Graph.makeUnsafe([...input], (x) => x.pipe(Graph.named("layer", layer), Graph.named("out", identity)))
  const options = { batchSize: 1, timeSteps: frames.length, encoding: "frames", observe: ["out"] } as const
  return onOracle(
    Effect.gen(function* () {
      const program = yield* Program.compileInference(graph, options)
      const executable = yield* written(program, graph, parameters)
      const rows: Array<Values> = []
      for (const call of Program.schedule(program, [])) {
        yield* executable.run([call], Float32Array.from(frames.flat()))
        if (call.segment === "forward")
          rows.push([...(yield* executable.read(Program.bufferNames.value("out"), call.t))])
      }
      return rows
    }),
  )
}

const identity: Graph.Layer = (x, name) =>
  elementwise("identity", (value) => value.plus(0))(x.shape.length === 1 ? x : flatten()(x), name)

/** Gradients of the mean of (y − 1)² over all outputs and time steps, by parameter. */
const gradientsOf = (graph: Graph.Graph, policy: Policy.Policy, { frames, parameters }: Batch) => {
  const options: Program.TrainingOptions = {
    batchSize: 1,
    timeSteps: frames.length,
    encoding: "frames",
    loss: { mix: 1, target: "ones" },
    optimizer: Optimizer.sgd(),
  }
  return onOracle(
    Effect.gen(function* () {
      const program = yield* Program.compile(graph, policy, options)
      const executable = yield* written(program, graph, parameters)
      yield* executable.write(Program.bufferNames.labels, Float32Array.of(0))
      const calls = Program.schedule(program, [...frames.keys()]).filter(({ segment }) => segment !== "update")
      yield* executable.run(calls, Float32Array.from(frames.flat()))
      const gradients: Record<string, Values> = {}
      for (const { name, role } of graph.parameters)
        if (role === "weight") gradients[name] = [...(yield* executable.read(Program.bufferNames.gradient(name)))]
      return gradients
    }),
  )
}

/** x·w, w one number. */
const weighted = elementwise("weighted", (x, p) => x.times(p.w), { parameters: { w: Neuron.learn(1) } })

describe("delays", () => {
  test("the value of two steps ago, initially 0", () => {
    const frames = [[1], [2], [3], [4]]
    expect(valuesOf([1], delay({ steps: 2 }), { frames })).toEqual([[0], [0], [1], [2]])
  })
  test("each channel with its own number of steps", () => {
    const frames = [1, 2, 3, 4, 5, 6].map((t) => [t, 10 * t, 100 * t])
    expect(valuesOf([3], delay({ steps: [0, 1, 4] }), { frames })).toEqual([
      [1, 0, 0],
      [2, 10, 0],
      [3, 20, 0],
      [4, 30, 0],
      [5, 40, 100],
      [6, 50, 200],
    ])
  })
  test("channels of an image, at all pixels", () => {
    const frames = [1, 2, 3].map((t) => [t, 10 * t, 3 * t, 30 * t])
    expect(valuesOf([2, 1, 2], delay({ steps: [1, 2] }), { frames })).toEqual([
      [0, 0, 0, 0],
      [1, 0, 3, 0],
      [2, 10, 6, 30],
    ])
  })
  test("the same number for all channels, and 0", () => {
    const frames = [
      [1, 2],
      [3, 4],
    ]
    expect(valuesOf([2], delay({ steps: [1, 1] }), { frames })).toEqual([
      [0, 0],
      [1, 2],
    ])
    expect(valuesOf([2], delay({ steps: [0, 0] }), { frames })).toEqual(frames)
    const twice = (x: Graph.Tensor) => x.pipe(delay({ steps: [1, 1] }), delay({ steps: [1, 1] }))
    expect(valuesOf([2], twice, { frames: [...frames, [5, 6]] })).toEqual([
      [0, 0],
      [0, 0],
      [1, 2],
    ])
  })
  test("one number per channel, or a GraphError", () => {
    expect(() => valuesOf([3], delay({ steps: [0, 1] }), { frames: [[1, 2, 3]] })).toThrow(
      expect.objectContaining({ _tag: "GraphError", node: "layer" }),
    )
  })
  test.each([
    // y = 0, 2, 3, so ∂y = 2(y − 1)/3 = −2/3, 2/3, 4/3, and ∂w = Σ ∂y[t]·x[t − 1].
    ["bptt", Policy.bptt, 16 / 3],
    // From step 2 none comes into the window of steps 0 and 1.
    ["tbptt(2)", Policy.tbptt(2), 4 / 3],
    ["sltt", Policy.sltt, 0],
    ["the edge cut", Policy.bptt.pipe(Policy.detach("delay")), 0],
    ["checkpoints", Policy.bptt.pipe(Policy.checkpoint(1)), 16 / 3],
  ])("gradient through one: %s", (_, policy, expected) => {
    const graph = Graph.makeUnsafe([1], (x) => x.pipe(Graph.named("a", weighted), delay({ steps: 1 }), identity))
    const batch = { frames: [[2], [3], [4]], parameters: { "a.w": [1] } }
    expectNear(gradientsOf(graph, policy, batch)["a.w"], [expected])
  })
  test("gradients of channels, each from its own step", () => {
    const layer = elementwise("weighted", (x, p) => x.times(p.w), { parameters: { w: Neuron.learn(1, "channel") } })
    const graph = Graph.makeUnsafe([2], (x) => x.pipe(Graph.named("a", layer), delay({ steps: [0, 2] }), identity))
    const batch = {
      frames: [
        [2, 3],
        [3, 5],
        [5, 7],
      ],
      parameters: { "a.w": [1, 1] },
    }
    // ∂y = (y − 1)/3 of y₁ = 2, 3, 5 and y₂ = 0, 0, 3: Σ ∂y·x.
    expectNear(gradientsOf(graph, Policy.bptt, batch)["a.w"], [(1 * 2 + 2 * 3 + 4 * 5) / 3, (2 * 3) / 3])
    expectNear(gradientsOf(graph, Policy.sltt, batch)["a.w"], [28 / 3, 0])
  })
})

describe("recurrence", () => {
  /** y[t] = w·x[t] + y[t − 1]/2 */
  const leaky = (x: Graph.Tensor, fedBack: Graph.Tensor): Graph.Tensor =>
    elementwise("leaky", (x, p, before) => x.times(p.w).plus(before.times(0.5)), {
      parameters: { w: Neuron.learn(1) },
      inputs: [fedBack],
    })(x, "a")
  const batch = { frames: [[1], [2], [4]], parameters: { "a.w": [1] } }
  test("values", () => {
    expect(valuesOf([1], recurrent(leaky), { frames: batch.frames, parameters: { "layer.a.w": [1] } })).toEqual([
      [1],
      [2.5],
      [5.25],
    ])
  })
  test.each([
    // ∂y = 2(y − 1)/3 = 0, 1, 17/6; with w = 1, dy/dw = y.
    ["bptt", Policy.bptt, 2.5 + (17 / 6) * 5.25],
    ["tbptt(2)", Policy.tbptt(2), 2.5 + (17 / 6) * 4],
    ["sltt", Policy.sltt, 2 + (17 / 6) * 4],
    ["the edge cut", Policy.bptt.pipe(Policy.detach("recurrent")), 2 + (17 / 6) * 4],
    ["checkpoints", Policy.bptt.pipe(Policy.checkpoint(2)), 2.5 + (17 / 6) * 5.25],
  ])("gradient: %s", (_, policy, expected) => {
    const graph = Graph.makeUnsafe([1], (x) => x.pipe(recurrent(leaky), identity))
    expectNear(gradientsOf(graph, policy, batch)["a.w"], [expected])
  })
  test.each([
    // z[t] = w·x[t] + y[t − 1]/2 and y[t] = z[t − 1]: y = 0, 2, 3, 5, ∂y = −1/2, 1/2, 1, 2, dy/dw = 0, 2, 3, 4 + 2/2.
    ["bptt", Policy.bptt, 1 + 3 + 2 * 5],
    ["what is fed back cut", Policy.bptt.pipe(Policy.detach("recurrent")), 1 + 3 + 2 * 4],
    ["the delay cut", Policy.bptt.pipe(Policy.detach("delay")), 0],
    ["checkpoints", Policy.bptt.pipe(Policy.checkpoint(2)), 1 + 3 + 2 * 5],
  ])("of what was delayed: %s", (_, policy, expected) => {
    const block = recurrent((x, fedBack) => leaky(x, fedBack).pipe(delay({ steps: 1 })))
    const graph = Graph.makeUnsafe([1], (x) => x.pipe(block, identity))
    expectNear(gradientsOf(graph, policy, { ...batch, frames: [[2], [3], [4], [9]] })["a.w"], [expected])
  })
  test("two unnamed blocks in sequence", () => {
    const block = recurrent((x, fedBack) =>
      elementwise("sum", (x, _, before) => x.plus(before), { inputs: [fedBack] })(x),
    )
    const frames = [[1], [1], [1]]
    expect(valuesOf([1], (x) => x.pipe(block, block), { frames })).toEqual([[1], [3], [6]])
  })
})

describe("elementwise", () => {
  test("several inputs; parameters per layer, channel and element", () => {
    const layer = (x: Graph.Tensor): Graph.Tensor =>
      elementwise(
        "mixed",
        (x, p, before, older) => x.times(p.channel).plus(before.times(p.layer)).plus(older).plus(p.element),
        {
          parameters: { layer: 10, channel: [2, 3], element: [0.5, 0.25, 0.125, 0] },
          inputs: [delay({ steps: 1 })(x), delay({ steps: 2 })(x)],
        },
      )(x)
    const frames = [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
      [0, 0, 0, 1],
    ]
    expect(valuesOf([1, 2, 2], layer, { frames })).toEqual([
      [2.5, 6.25, 6.125, 12],
      [10 + 10 + 0.5, 18 + 20 + 0.25, 14 + 30 + 0.125, 24 + 40],
      [50 + 1 + 0.5, 60 + 2 + 0.25, 70 + 3 + 0.125, 3 + 80 + 4],
    ])
  })
  test.each([
    // ∂y = (y − 1)/2 = 0, 1/2, 1, 2, times x = 1, 2, 3, 5, summed over those that share a number.
    ["element", [0, 1, 3, 10]],
    ["channel", [3, 11]],
    ["layer", [14]],
  ] as const)("a learnt number a %s", (per, expected) => {
    const layer = elementwise("weighted", (x, p) => x.times(p.w), { parameters: { w: Neuron.learn(1, per) } })
    const graph = Graph.makeUnsafe([1, 2, 2], (x) => x.pipe(Graph.named("a", layer), flatten()))
    const batch = { frames: [[1, 2, 3, 5]], parameters: { "a.w": expected.map(() => 1) } }
    expectNear(gradientsOf(graph, Policy.bptt, batch)["a.w"], expected)
  })
  test("six parameters, each trained and used twice: expressions of parameters alone are computed in every step", () => {
    const names = ["a", "b", "c", "d", "e", "f"]
    const parameters = Object.fromEntries(names.map((name) => [name, Neuron.learn(0.5)]))
    const body = (x: Neuron.Expression, p: Readonly<Record<string, Neuron.Expression>>) =>
      Object.values(p).reduce((sum, each) => sum.times(each).plus(Neuron.constant(1).minus(each)), x)
    const layer = elementwise("means", body, { parameters })
    const values = Object.fromEntries(names.map((name) => [`layer.${name}`, [0.5]]))
    // Half way to 1 six times.
    expect(valuesOf([1], layer, { frames: [[65]], parameters: values })).toEqual([[2]])
  })
  test("the same value twice: both gradients arrive", () => {
    const square: Graph.Layer = (x, name) =>
      elementwise("square", (x, _, same) => x.times(same), { inputs: [x] })(x, name)
    const graph = Graph.makeUnsafe([1], (x) => x.pipe(Graph.named("a", weighted), square))
    // h = w·x = 2, y = 4: ∂y = 6, ∂h = 2·2·6, ∂w = 2·24.
    expectNear(gradientsOf(graph, Policy.bptt, { frames: [[2]], parameters: { "a.w": [1] } })["a.w"], [48])
  })
})

describe("a state with a trained decay per channel: m[t] = p·m[t − 1] + x[t]", () => {
  const integrator = Neuron.make("integrator", {
    parameters: { p: Neuron.learn(0.5, "channel") },
    states: ["m"],
    step: ({ x, before, p }) => {
      const m = before.m.times(p.p).plus(x)
      return { states: { m }, output: m }
    },
  })
  const graph = Graph.makeUnsafe([2], Graph.named("a", integrator()))
  const batch = {
    frames: [
      [2, 1],
      [3, 0],
      [4, 0],
    ],
    parameters: { "a.p": [0.5, 0.25] },
  }
  test("values", () => {
    expect(valuesOf([2], integrator(), { frames: batch.frames, parameters: { "layer.p": [0.5, 0.25] } })).toEqual([
      [2, 1],
      [4, 0.25],
      [6, 0.0625],
    ])
  })
  test.each([
    // ∂m = (m − 1)/3 of 2, 4, 6 and 1, 1/4, 1/16; dm/dp = 0, 2, 4 + 1 and 0, 1, 1/4 + 1/4.
    ["bptt", Policy.bptt, [2 + 25 / 3, -1 / 4 - 5 / 32]],
    ["checkpoints", Policy.bptt.pipe(Policy.checkpoint(2)), [2 + 25 / 3, -1 / 4 - 5 / 32]],
    ["tbptt(2)", Policy.tbptt(2), [2 + 20 / 3, -1 / 4 - 5 / 64]],
    ["sltt", Policy.sltt, [2 + 20 / 3, -1 / 4 - 5 / 64]],
    ["the state cut", Policy.bptt.pipe(Policy.detach("m")), [2 + 20 / 3, -1 / 4 - 5 / 64]],
  ])("gradient: %s", (_, policy, expected) => {
    expectNear(gradientsOf(graph, policy, batch)["a.p"], expected)
  })
})

describe("traces", () => {
  const options: Program.TrainingOptions = {
    batchSize: 1,
    timeSteps: 3,
    encoding: "frames",
    loss: { mix: 1, target: "ones" },
    optimizer: Optimizer.sgd(),
  }
  const refused = (layer: Graph.Layer, policy: Policy.Policy) => {
    const graph = Graph.makeUnsafe([2], (x) => x.pipe(layer, linear({ features: 2 })))
    return Effect.runSync(Effect.flip(Program.compile(graph, policy, options)))
  }
  const neuron = (per: "channel" | "layer") =>
    Neuron.make("decaying", {
      parameters: { decay: Neuron.learn(0.5, per) },
      states: ["membrane"],
      step: ({ x, before, p }) => {
        const membrane = before.membrane.times(p.decay).plus(x)
        return { states: { membrane }, output: membrane }
      },
    })()
  test("a decay per channel is not a decay of a trace", () => {
    expect(refused(neuron("channel"), Policy.ottt)).toMatchObject({ _tag: "PolicyError", policy: "ottt" })
    const graph = Graph.makeUnsafe([2], (x) => x.pipe(neuron("layer"), linear({ features: 2 })))
    expect(Effect.runSync(Program.compile(graph, Policy.ottt, options)).policy).toBe("ottt")
  })
  test("no gradient through other edges together with a trace", () => {
    const policy = Policy.bptt.pipe(Policy.detach("membrane"), Policy.trace(0.5))
    const block = recurrent((x, fedBack) =>
      elementwise("sum", (x, _, before) => x.plus(before), { inputs: [fedBack] })(x).pipe(neuron("layer")),
    )
    expect(refused(block, policy)).toMatchObject({ _tag: "PolicyError", policy: policy.name })
  })
})
