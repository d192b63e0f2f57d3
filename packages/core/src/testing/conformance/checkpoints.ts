/** Steps that run again give the bits that they gave at first. */
import { Effect } from "effect"
import { Backend } from "../../backend/backend.ts"
import * as Optimizer from "../../optimizers/index.ts"
import * as Policy from "../../policies/policy.ts"
import { compile } from "../../program/compile.ts"
import { bufferNames, type Encoding, schedule } from "../../program/program.ts"
import * as Key from "../../random.ts"
import { expectEqual } from "./compare.ts"
import { networks } from "./networks.ts"
import type { ProgramFailure } from "./programs.ts"
import { feed, run, workload, writeParameters } from "./workload.ts"

/** Gradients, running statistics and metrics after one batch of BPTT. */
const trained = (name: string, policy: Policy.Policy, encoding: Encoding) =>
  Effect.gen(function* () {
    const graph = networks[name] as (typeof networks)[string]
    const program = yield* compile(graph, policy, {
      batchSize: 3,
      timeSteps: 7,
      encoding,
      loss: { mix: 0.05, target: "ones" },
      optimizer: Optimizer.options("sgd"),
    })
    const { parameters, batches } = yield* workload(graph, program, policy, 1, 1)
    const batch = { ...batches[0]!, key: Key.make(1) }
    const executable = yield* (yield* Backend).prepare(program)
    yield* writeParameters(executable, parameters)
    yield* feed(executable, batch, 1)
    yield* run(executable, schedule(program, batch.trained), batch)
    const left = new Map<string, Float32Array>()
    for (const { name, kind } of program.buffers)
      if (kind === "gradient" || kind === "parameter" || kind === "statistic" || name === bufferNames.metrics)
        left.set(name, yield* executable.read(name))
    return left
  }).pipe(Effect.scoped)

const sameBits = (name: string, encoding: Encoding): Effect.Effect<void, ProgramFailure, Backend> =>
  Effect.gen(function* () {
    const whole = yield* trained(name, Policy.bptt, encoding)
    for (const steps of [1, "root"] as const) {
      const lean = yield* trained(name, Policy.bptt.pipe(Policy.checkpoint(steps)), encoding)
      for (const [buffer, values] of whole)
        yield* expectEqual(
          `${buffer}, with a checkpoint every ${steps === 1 ? "step" : "three steps"},`,
          values,
          lean.get(buffer)!,
        )
    }
  })

export const checkpointCases = Object.keys(networks).flatMap((name) =>
  (["static", "frames"] as const).map((encoding) => ({
    name: `${name}, ${encoding}, the same bits with checkpoints`,
    run: sameBits(name, encoding),
  })),
)
