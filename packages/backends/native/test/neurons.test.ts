/** Expression neurons match the reference: states, outputs and gradients after a training step on frames. */
import { describe, expect, test } from "bun:test"
import * as S from "@spikeroute/core"
import { Conformance } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { configurations } from "./configurations.ts"

type Neuron = S.Neuron.NeuronLayer<string, string>

const neurons = Object.entries<unknown>({ ...S }).flatMap(([name, layer]) =>
  typeof layer === "function" && "definition" in layer ? [[name, layer as unknown as Neuron] as const] : [],
)
const resting = S.Neuron.refractory(S.adEx, 2) as unknown as Neuron

/** Input scales at which neurons in millivolts or with small time steps fire. */
const scales: Readonly<Record<string, number>> = { izhikevich: 25, balancedResonateAndFire: 50, seAdLif: 10, adEx: 5 }

/** The neuron between two linear layers, with one parameter learnt per channel and one given as an array. */
const programOf = (name: string, neuron: Neuron) => {
  const { parameters } = neuron.definition
  const settings = Object.entries(parameters).flatMap(([each, value], i) => {
    if (typeof value !== "number" || i > 1) return []
    return [[each, i === 0 ? S.Neuron.learn(value, "channel") : Array.from({ length: 7 }, () => value)]]
  })
  const layers = [
    S.linear({ features: 7 }),
    S.scale(scales[name.split(",")[0] as string] ?? 2),
    neuron(Object.fromEntries(settings)),
  ]
  const graph = S.Graph.makeUnsafe([5], S.Graph.sequential(...layers, S.linear({ features: 3 })))
  const options = { batchSize: 3, timeSteps: 6, loss: S.defaultLoss, optimizer: S.Optimizer.sgd() }
  return {
    graph,
    program: Effect.runSync(S.Program.compile(graph, S.Policy.bptt, { ...options, encoding: "frames" as const })),
  }
}

/** Convolutions with leaky neurons, one of them followed by an average pool. */
const leakyProgram = (options: S.LifOptions, policy: S.Policy.Policy) => {
  const layers = [
    S.conv2d({ channels: 35, kernelSize: 3, padding: 1 }),
    S.lif(options),
    S.averagePool({ kernelSize: 2 }),
    S.flatten(),
    S.linear({ features: 33 }),
    S.lif(options),
    S.linear({ features: 3 }),
  ]
  const graph = S.Graph.makeUnsafe([5, 5, 2], S.Graph.sequential(...layers))
  const given = { batchSize: 3, timeSteps: 6, loss: S.defaultLoss, optimizer: S.Optimizer.sgd() }
  return { graph, program: Effect.runSync(S.Program.compile(graph, policy, { ...given, encoding: "frames" })) }
}

/** The same program with an unused line in each expression, so that no fast path recognises it. */
const interpreted = ({ graph, program }: ReturnType<typeof programOf>) => {
  const segments = Object.entries(program.segments).map(([name, instructions]) => [
    name,
    instructions.map(({ attributes, ...each }) => {
      const { code } = attributes as { readonly code?: S.Expressions.Code }
      return { ...each, attributes: code ? { ...attributes, code: [...code, ["constant", 7]] } : attributes }
    }),
  ])
  return { graph, program: { ...program, segments: Object.fromEntries(segments) as typeof program.segments } }
}

/** Trains on one batch and returns all lasting buffers. */
const trained = ({ graph, program }: ReturnType<typeof programOf>) =>
  Effect.gen(function* () {
    const executable = yield* (yield* S.Backend).prepare(program)
    for (const { name, shape, initializer } of graph.parameters) {
      const key = S.Key.fold(S.Key.make(3), name)
      const values = new Float32Array(S.Shape.size(shape))
      if (initializer.kind === "constant") values.fill(initializer.value)
      else if (initializer.kind === "values") values.set(initializer.values)
      else S.Key.normal(key, values)
      yield* executable.write(S.Program.bufferNames.parameter(name), values)
    }
    const frames = S.Key.normal(S.Key.make(5), new Float32Array(6 * 3 * S.Shape.size(graph.input)))
    const calls = S.Program.schedule(program, [0, 1, 2, 3, 4, 5]).filter(({ segment }) => segment !== "update")
    yield* executable.run(calls, frames)
    const lasting = program.buffers.filter(
      ({ kind, slots }) => slots === 1 && !["scratch", "residual", "accumulator"].includes(kind),
    )
    return yield* Effect.forEach(lasting, ({ name }) =>
      Effect.map(executable.read(name, 0), (values) => [name, Array.from(values)] as const),
    )
  }).pipe(Effect.scoped)

for (const { name: configuration, run } of configurations())
  describe(configuration, () => {
    test.each([...neurons, ["adEx, refractory", resting] as const])("%s", async (name, neuron) => {
      const made = programOf(name, neuron)
      const expected = await Effect.runPromise(trained(made).pipe(Effect.provide(Conformance.oracle())))
      const found = new Map(await run(trained(made)))
      // The gradient must reach the layer before the neurons.
      let moved = false
      for (const [buffer, values] of expected)
        values.forEach((value, i) => {
          const other = found.get(buffer)?.[i] as number
          if (buffer === S.Program.bufferNames.gradient("0.weight") && value !== 0) moved = true
          if (!(Math.abs(other - value) <= 1e-4 * Math.max(1, Math.abs(value))))
            expect({ buffer, i, other }).toEqual({ buffer, i, other: value })
        })
      expect(moved).toBe(true)
    })

    test("the fast paths of leaky neurons are bit-identical to the interpreter", async () => {
      for (const reset of ["soft", "hard", "none"] as const)
        for (const [threshold, alpha] of [
          [1, 1],
          [0.3, 0.7],
        ] as const)
          for (const policy of [S.Policy.sltt, S.Policy.bptt, S.Policy.bptt.pipe(S.Policy.detach("reset"))]) {
            const made = leakyProgram({ reset, threshold, tau: 1.6, surrogate: { name: "triangle", alpha } }, policy)
            expect(await run(trained(made))).toEqual(await run(trained(interpreted(made))))
          }
    })
  })
