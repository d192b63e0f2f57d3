/** The network for tests of memory, buffers and runs, prepared on the backend. */
import { Effect } from "effect"
import { Backend } from "../../backend/backend.ts"
import { BackendError } from "../../errors.ts"
import { makeUnsafe, sequential } from "../../graph/index.ts"
import { batchNorm, conv2d, dropout, flatten, lif, linear } from "../../layers.ts"
import * as Optimizer from "../../optimizers/index.ts"
import * as Policy from "../../policies/policy.ts"
import { compile } from "../../program/compile.ts"
import type { TrainingOptions } from "../../program/options.ts"
import { ensure, fail } from "./compare.ts"
import { workload, writeParameters } from "./workload.ts"

/** A network with all state that a program can carry between batches: statistics, keys, states, parameters of several shapes. */
export const graph = makeUnsafe(
  [5, 4, 2],
  sequential(
    conv2d({ channels: 3, kernelSize: 3 }),
    batchNorm(),
    lif({ threshold: 0.5 }),
    dropout(0.3),
    flatten(),
    linear({ features: 3 }),
  ),
)

export const options: TrainingOptions = {
  batchSize: 2,
  timeSteps: 3,
  encoding: "frames",
  loss: { mix: 0.05, target: "ones" },
  optimizer: Optimizer.adam(),
}

export const kept: ReadonlySet<string> = new Set(["parameter", "statistic", "optimizer", "gradient", "metric"])

/** A program on the backend, and batches for it. */
export const prepared = (policy: Policy.Policy = Policy.bptt, changed: Partial<TrainingOptions> = {}, count = 2) =>
  Effect.gen(function* () {
    const program = yield* compile(graph, policy, { ...options, ...changed })
    const data = yield* workload(graph, program, policy, 1, count)
    const executable = yield* (yield* Backend).prepare(program)
    yield* writeParameters(executable, data.parameters)
    return { program, data, executable }
  })

/** Fails unless the effect fails with a {@link BackendError}. */
export const refuses = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const result = yield* Effect.result(effect)
    if (result._tag === "Success") return yield* fail(`${what} succeeds; it must be a BackendError`)
    yield* ensure(result.failure instanceof BackendError, `${what} is ${result.failure}; it must be a BackendError`)
  })
