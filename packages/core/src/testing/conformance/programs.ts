/** Whole programs against the oracle: networks × policies × encodings. */
import { Effect, type Scope } from "effect"
import { Backend } from "../../backend/backend.ts"
import type { BackendError, OptionError, PolicyError, ProgramError, UnsupportedKernelError } from "../../errors.ts"
import type { Graph } from "../../graph/graph.ts"
import { spikingLayers } from "../../graph/nodes.ts"
import type { Loss } from "../../loss.ts"
import * as Optimizer from "../../optimizers/index.ts"
import * as Policy from "../../policies/policy.ts"
import * as Steps from "../../policies/steps.ts"
import { check } from "../../program/check.ts"
import { compile, compileInference } from "../../program/compile.ts"
import type { TrainingOptions } from "../../program/options.ts"
import { bufferNames, type Encoding, type Program } from "../../program/program.ts"
import { schedule } from "../../program/schedule.ts"
import { type ConformanceError, expectEqual, fail } from "./compare.ts"
import { networks } from "./networks.ts"
import * as Oracle from "./oracle.ts"
import {
  align,
  compare,
  feed,
  run,
  runWithMargin,
  stepsForward,
  type Workload,
  workload,
  writeParameters,
} from "./workload.ts"

export type ProgramFailure =
  | ConformanceError
  | OptionError
  | PolicyError
  | ProgramError
  | UnsupportedKernelError
  | BackendError

/** Allowed deviation of a program from the oracle: the largest difference divided by the largest value of its kind. */
const tolerance = 1e-4

/** No membrane may be closer to a discontinuity than this, so that rounding does not decide whether a neuron fires. */
const leastMargin = 1e-4

const timeSteps = 4

/** Even and uneven windows, steps without loss within a window, windows without any loss; with and without checkpoints and traces. */
const policies: ReadonlyArray<Policy.Policy> = [
  Policy.bptt,
  Policy.tbptt(3),
  Policy.sltt,
  Policy.slttK(2),
  Policy.ottt,
  Policy.rate,
  Policy.slttK(2).pipe(Policy.trace(0.8)),
  Policy.checkpointedBptt,
  Policy.tbptt(3).pipe(Policy.checkpoint(2), Policy.trainOn(Steps.last(2))),
  Policy.bptt.pipe(Policy.detach("reset"), Policy.trainOn(Steps.every(2))),
  Policy.tbptt(3).pipe(
    Policy.trainOn(
      Steps.custom(
        "first",
        () => 1,
        () => Effect.succeed([0]),
      ),
    ),
  ),
]

/** Policies for networks whose weight layers are next to neurons: factorised traces, and one number per synapse. */
const eligible: Readonly<Record<string, ReadonlyArray<Policy.Policy>>> = {
  perceptron: [Policy.eprop, Policy.bptt.pipe(Policy.eligible)],
  "spike to spike": [Policy.eprop],
}

const losses: ReadonlyArray<Loss> = [
  { mix: 0.05, target: "ones" },
  { mix: 0, target: "ones" },
  { mix: 0.3, target: "one-hot" },
]

const optimizers = [
  Optimizer.sgd({ weightDecay: 0.01 }),
  Optimizer.adam({ weightDecay: 0.01, epsilon: 1e-3 }),
  Optimizer.adamw({ epsilon: 1e-3 }),
]

/** A workload with which every layer fires, none fires always, and no membrane is near a discontinuity. */
const suitable = (
  graph: Graph,
  program: Program,
  policy: Policy.Policy,
  count: number,
): Effect.Effect<Workload, ProgramFailure> =>
  Effect.gen(function* () {
    for (let seed = 1; seed <= 200; seed++) {
      const tried = yield* workload(graph, program, policy, seed, count)
      const oracle = Oracle.make(program)
      yield* writeParameters(oracle, tried.parameters)
      let good = true
      for (const [n, batch] of tried.batches.entries()) {
        yield* feed(oracle, batch, n + 1)
        good &&= (yield* runWithMargin(graph, oracle, batch)) > leastMargin
        const [, ...rates] = yield* oracle.read(bufferNames.metrics)
        good &&= rates.every((rate) => rate > 0.02 && rate < 0.98)
      }
      if (good) return tried
    }
    return yield* fail("no seed keeps the membranes away from their thresholds")
  })

/** Runs two batches, each in one run, and compares all results after each. */
const batchwise = (
  graph: Graph,
  policy: Policy.Policy,
  program: Program,
): Effect.Effect<void, ProgramFailure, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const { parameters, batches } = yield* suitable(graph, yield* check(program), policy, 2)
    const both = [Oracle.make(program), yield* (yield* Backend).prepare(program)] as const
    for (const each of both) yield* writeParameters(each, parameters)
    for (const [n, batch] of batches.entries()) {
      for (const each of both) {
        yield* feed(each, batch, n + 1)
        yield* run(each, schedule(program, batch.trained), batch)
      }
      yield* compare(...both, tolerance)
      yield* align(...both)
    }
  })

/** Runs one batch step by step; all spikes must equal the oracle's. */
const stepwise = (
  graph: Graph,
  policy: Policy.Policy,
  program: Program,
): Effect.Effect<void, ProgramFailure, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const { parameters, batches } = yield* suitable(graph, yield* check(program), policy, 1)
    const both = [Oracle.make(program), yield* (yield* Backend).prepare(program)] as const
    for (const each of both) yield* writeParameters(each, parameters)
    for (const batch of batches) {
      for (const each of both) yield* feed(each, batch, 1)
      for (const call of schedule(program, batch.trained)) {
        for (const each of both) yield* run(each, [call], batch)
        if (!stepsForward(call)) continue
        for (const neuron of program.neurons) {
          const [expected, found] = yield* Effect.forEach(both, (each) => each.read(bufferNames.value(neuron), call.t))
          yield* expectEqual(`spikes of ${neuron} at step ${call.t}`, expected!, found!)
        }
      }
      yield* compare(...both, tolerance)
    }
  })

const neuronsOf = (graph: Graph): ReadonlyArray<string> => spikingLayers(graph).map(({ name }) => name)

const training = (
  graph: Graph,
  policy: Policy.Policy,
  encoding: Encoding,
  variant: number,
): Effect.Effect<void, ProgramFailure, Backend> =>
  Effect.gen(function* () {
    const options: TrainingOptions = {
      batchSize: 3,
      timeSteps,
      encoding,
      loss: losses[variant % losses.length] as Loss,
      optimizer: optimizers[variant % optimizers.length] as Optimizer.Optimizer,
    }
    const observed = yield* compile(graph, policy, { ...options, observe: neuronsOf(graph) })
    yield* Effect.scoped(batchwise(graph, policy, yield* compile(graph, policy, options)))
    if (encoding === "static") {
      const inLoop = yield* compile(graph, policy, { ...options, batchSize: 1, hoist: false })
      yield* Effect.scoped(batchwise(graph, policy, inLoop))
    }
    yield* Effect.scoped(stepwise(graph, policy, observed))
  })

const inference = (graph: Graph, encoding: Encoding): Effect.Effect<void, ProgramFailure, Backend> =>
  Effect.gen(function* () {
    const options = { batchSize: 3, timeSteps, encoding }
    const observed = yield* compileInference(graph, { ...options, observe: neuronsOf(graph) })
    yield* Effect.scoped(batchwise(graph, Policy.sltt, yield* compileInference(graph, options)))
    yield* Effect.scoped(stepwise(graph, Policy.sltt, observed))
  })

const encodings = ["static", "frames"] as const

export const programCases = Object.entries(networks).flatMap(([name, graph], i) =>
  encodings.flatMap((encoding) => [
    ...[...policies, ...(eligible[name] ?? [])].map((policy, j) => ({
      name: `${name}, ${encoding}, ${policy.name}`,
      run: training(graph, policy, encoding, i + j),
    })),
    { name: `${name}, ${encoding}, inference`, run: inference(graph, encoding) },
  ]),
)
