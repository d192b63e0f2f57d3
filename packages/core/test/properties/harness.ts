/** Runs one batch of an arbitrary workload, on a machine or on the tape, and compares. */
import { expect } from "bun:test"
import { Effect, Random, type Scope } from "effect"
import * as fc from "fast-check"
import { Backend, type Graph, Key, type Losses, Policy, Program } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { upload } from "../../src/train/run.ts"
import { checkBatch } from "../../src/train/targets.ts"
import { type Unrolled, unroll } from "../unroll.ts"
import { machine } from "./machine.ts"

/** A fixed seed, so that a failure can be run again; fast-check prints the counterexample. */
export const runs = (numRuns: number): fc.Parameters<unknown> => ({
  seed: 20230817,
  numRuns,
  includeErrorInReport: true,
})

export const sync = <A, E>(effect: Effect.Effect<A, E, Backend | Scope.Scope>, memory?: "arena" | "separate"): A =>
  Effect.runSync(Effect.scoped(effect).pipe(Effect.provide(machine(memory))))

type Named = ReadonlyMap<string, Float32Array>

export interface Trained {
  readonly program: Program.Program
  readonly loss: number
  readonly outputs: Float32Array
  readonly firingRates: ReadonlyArray<number>
  readonly gradients: Named
  /** Running statistics after the batch. */
  readonly statistics: Named
}

/** A loss of terms, and what it is told. */
export interface OfTerms {
  readonly loss: ReadonlyArray<Losses.LossTerm>
  readonly labels: Float32Array
  readonly targets: Float32Array
}

export interface Settings {
  readonly terms?: OfTerms
  readonly graph?: Graph.Graph
  readonly hoist?: boolean
  /** Nodes whose output stays readable. */
  readonly observe?: ReadonlyArray<string>
  /** The trained steps; by default those that the policy draws under the workload's seed. */
  readonly steps?: ReadonlyArray<number>
  readonly memory?: "arena" | "separate"
  readonly parameters?: ReadonlyMap<string, ArrayLike<number>>
}

/** The steps that a policy draws for a workload. */
export const drawn = (policy: Policy.Policy, { timeSteps, seed }: Arbitrary.Workload): ReadonlyArray<number> =>
  Effect.runSync(
    Policy.draw(policy, timeSteps).pipe(
      Effect.provideService(Random.Random, Key.generator(Key.fold(Key.make(seed), "steps"))),
    ),
  )

export const programOf = (workload: Arbitrary.Workload, policy: Policy.Policy, settings: Settings = {}) =>
  Effect.runSync(
    Program.compile(settings.graph ?? Arbitrary.graphOf(workload), policy, {
      ...Arbitrary.optionsOf(workload),
      ...(settings.terms && { loss: settings.terms.loss }),
      hoist: settings.hoist ?? true,
      observe: settings.observe ?? [],
    }),
  )

/** One batch without its update. */
export const train = (workload: Arbitrary.Workload, policy: Policy.Policy, settings: Settings = {}): Trained => {
  const graph = settings.graph ?? Arbitrary.graphOf(workload)
  const program = programOf(workload, policy, settings)
  const { inputs, labels } = Arbitrary.batchOf(graph, workload)
  const steps = settings.steps ?? drawn(policy, workload)
  return sync(
    Effect.gen(function* () {
      const executable = yield* (yield* Backend).prepare(program)
      for (const [name, values] of settings.parameters ?? Arbitrary.parametersOf(graph, workload))
        yield* executable.write(Program.bufferNames.parameter(name), Float32Array.from(values))
      for (const { name, role, owner } of program.buffers) {
        const { hi, lo } = Arbitrary.keyOf(owner ?? "", workload)
        if (role === "key") yield* executable.write(name, Uint32Array.of(hi, lo))
      }
      const frames = workload.encoding === "frames" ? inputs : undefined
      yield* upload(executable, yield* checkBatch(program, { inputs, labels, ...settings.terms }))
      const calls = Program.schedule(program, steps).filter(({ segment }) => segment !== "update")
      yield* executable.run(calls, frames)
      const [first = Number.NaN, ...firingRates] = yield* executable.read(Program.bufferNames.metrics)
      let loss = first
      for (const { name, role } of program.buffers) if (role === "term") loss += (yield* executable.read(name))[0]!
      const gradients = new Map<string, Float32Array>()
      const statistics = new Map<string, Float32Array>()
      for (const { name, role } of graph.parameters)
        if (role === "weight") gradients.set(name, yield* executable.read(Program.bufferNames.gradient(name)))
        else if (role === "statistic") statistics.set(name, yield* executable.read(Program.bufferNames.parameter(name)))
      const outputs = yield* executable.read(Program.bufferNames.outputs)
      return { program, loss, firingRates, outputs, gradients, statistics }
    }),
    settings.memory,
  )
}

/** The same on the tape. */
export const onTape = (workload: Arbitrary.Workload, policy: Policy.Policy, settings: Settings = {}): Unrolled => {
  const graph = settings.graph ?? Arbitrary.graphOf(workload)
  return unroll(graph, {
    ...workload,
    ...Arbitrary.batchOf(graph, workload),
    ...settings.terms,
    frames: workload.encoding === "frames",
    parameters: settings.parameters ?? Arbitrary.parametersOf(graph, workload),
    keyOf: (node) => Arbitrary.keyOf(node, workload),
    detached: policy.detached,
    window: policy.window,
    trace: policy.trace,
    rates: policy.rates !== undefined,
    trained: settings.steps ?? drawn(policy, workload),
  })
}

const bits = (values: Float32Array): ReadonlyArray<number> => [
  ...new Uint32Array(values.buffer, values.byteOffset, values.length),
]

/** The same tensors, bit for bit. */
export const expectSameBits = (actual: Named, expected: Named): void => {
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [name, values] of expected) expect([name, bits(actual.get(name)!)]).toEqual([name, bits(values)])
}

/** What a batch gave besides gradients, bit for bit. */
export const expectSameForward = (actual: Trained, expected: Trained): void => {
  expect([actual.loss, ...actual.firingRates]).toEqual([expected.loss, ...expected.firingRates])
  expect(bits(actual.outputs)).toEqual(bits(expected.outputs))
  expectSameBits(actual.statistics, expected.statistics)
}

const largest = (values: ArrayLike<number>): number => {
  let most = 0
  for (let i = 0; i < values.length; i++) if (!(Math.abs(values[i]!) <= most)) most = Math.abs(values[i]!)
  return most
}

type Tensors = ReadonlyMap<string, ArrayLike<number>>

/**
 * The largest difference between gradients, over all weights, relative to the largest number of each. Where paths cancel (a bias
 * before batch norm, whose gradient is 0), rounding is that of the paths: with their magnitudes, the difference is relative to a
 * twentieth of these, too. Nothing counts as smaller than `floor`, or a thousandth of the largest of all.
 */
export const deviation = (actual: Tensors, expected: Tensors, magnitudes?: Tensors, floor = 1e-4): number => {
  const least = Math.max(floor, 1e-3 * Math.max(...[...expected.values()].map(largest)))
  let worst = 0
  for (const [name, values] of expected) {
    const found = actual.get(name)
    const difference = largest(Array.from(values, (value, i) => value - (found?.[i] ?? Number.NaN)))
    const relative = difference / (least + largest(values) + largest(magnitudes?.get(name) ?? []) / 20)
    if (!(relative <= worst)) worst = relative
  }
  return worst
}

/** What float32 may differ by from float64, or from itself in another order of summation. */
export const rounding = 1e-4

/**
 * The workload on the tape, if float32 can be held against it: no jump is near, and a change of all numbers in their seventh
 * digit (what float32 keeps) leaves the gradients as they are. Else the run is left out.
 */
export const onSteadyTape = (
  workload: Arbitrary.Workload,
  policy: Policy.Policy,
  settings: Settings = {},
): Unrolled => {
  const tape = onTape(workload, policy, settings)
  fc.pre(tape.margin > 1e-4)
  const graph = settings.graph ?? Arbitrary.graphOf(workload)
  const changed = new Map(
    [...(settings.parameters ?? Arbitrary.parametersOf(graph, workload))].map(([name, values]) => {
      const noise = Key.normal(Key.fold(Key.make(workload.seed), "noise", name), new Float32Array(values.length))
      return [name, Array.from(values, (value, i) => value * (1 + 5e-7 * noise[i]!))]
    }),
  )
  const shaken = onTape(workload, policy, { ...settings, parameters: changed })
  fc.pre(deviation(shaken.gradients, tape.gradients, tape.magnitudes) < rounding / 2)
  return tape
}

/** A program's batch is what the tape says. */
export const expectAgreement = (actual: Trained, tape: Unrolled): void => {
  const off = (a: ArrayLike<number>, b: ArrayLike<number>) => deviation(new Map([["", a]]), new Map([["", b]]))
  expect(Math.abs(actual.loss - tape.loss)).toBeLessThan(rounding * Math.max(1, tape.loss))
  expect(off(actual.outputs, tape.outputs)).toBeLessThan(rounding)
  expect(off(actual.firingRates, tape.firingRates)).toBeLessThan(1e-5)
  expect(deviation(actual.statistics, tape.statistics)).toBeLessThan(rounding)
  expect(deviation(actual.gradients, tape.gradients, tape.magnitudes)).toBeLessThan(rounding)
}
