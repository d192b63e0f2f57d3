/** Recomputed steps and recomputed weight layers are bit-identical. */
import { Effect } from "effect"
import { Backend } from "../../backend/backend.ts"
import * as Optimizer from "../../optimizers/index.ts"
import * as Policy from "../../policies/policy.ts"
import { compile } from "../../program/compile.ts"
import { bufferNames, type Encoding } from "../../program/program.ts"
import { schedule } from "../../program/schedule.ts"
import * as Key from "../../random.ts"
import { expectEqual } from "./compare.ts"
import { networks } from "./networks.ts"
import type { ProgramFailure } from "./programs.ts"
import { feed, run, workload, writeParameters } from "./workload.ts"

/** Gradients, running statistics and metrics after one batch. */
const trained = (name: string, policy: Policy.Policy, encoding: Encoding) =>
  Effect.gen(function* () {
    const graph = networks[name] as (typeof networks)[string]
    const program = yield* compile(graph, policy, {
      batchSize: 3,
      timeSteps: 7,
      encoding,
      loss: { mix: 0.05, target: "ones" },
      optimizer: Optimizer.sgd(),
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

const sameBits = (
  name: string,
  encoding: Encoding,
  whole: Policy.Policy,
  leaner: ReadonlyArray<Policy.Policy>,
): Effect.Effect<void, ProgramFailure, Backend> =>
  Effect.gen(function* () {
    const expected = yield* trained(name, whole, encoding)
    for (const policy of leaner) {
      const found = yield* trained(name, policy, encoding)
      for (const [buffer, values] of expected)
        yield* expectEqual(`${buffer}, ${policy.name}`, values, found.get(buffer)!)
    }
  })

const { bptt, sltt, checkpoint, recompute } = Policy

export const checkpointCases = Object.keys(networks).flatMap((name) =>
  (["static", "frames"] as const).flatMap((encoding) => [
    {
      name: `${name}, ${encoding}, bit-identical with checkpoints`,
      run: sameBits(name, encoding, bptt, [bptt.pipe(checkpoint(1)), bptt.pipe(checkpoint())]),
    },
    {
      name: `${name}, ${encoding}, bit-identical recomputed`,
      run: Effect.andThen(
        sameBits(name, encoding, bptt, [bptt.pipe(recompute), bptt.pipe(checkpoint(), recompute)]),
        sameBits(name, encoding, sltt, [sltt.pipe(recompute)]),
      ),
    },
  ]),
)
