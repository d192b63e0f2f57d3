/** Support for data-parallel training: gradients are read and written externally between the backward direction and the update. */
import { Effect } from "effect"
import type { Executable } from "../../backend/backend.ts"
import * as Policy from "../../policies/policy.ts"
import type { TrainingOptions } from "../../program/options.ts"
import { bufferBytes, gradientRange, type Program } from "../../program/program.ts"
import { schedule } from "../../program/schedule.ts"
import { ensure, expectClose } from "./compare.ts"
import * as Oracle from "./oracle.ts"
import { prepared } from "./prepared.ts"
import { compare, feed, run, type Workload, writeParameters } from "./workload.ts"

/** Allowed deviation from the oracle after two updates of this network. */
const tolerance = 1e-4

const gradientsOf = ({ buffers }: Program) => buffers.filter(({ kind }) => kind === "gradient")

/** Trains on batches, replacing the gradients of each. Returns the original gradients. */
const train = (executable: Executable, { parameters, batches }: Workload) =>
  Effect.gen(function* () {
    const { program } = executable
    const own: Array<number> = []
    yield* writeParameters(executable, parameters)
    for (const [i, batch] of batches.entries()) {
      yield* feed(executable, batch, i + 1)
      const calls = schedule(program, batch.trained)
      const update = calls.filter(({ segment }) => segment === "update")
      yield* run(executable, calls.slice(0, -update.length), batch)
      for (const { name } of gradientsOf(program)) {
        const gradient = yield* executable.read(name)
        own.push(...gradient)
        yield* executable.write(
          name,
          gradient.map((value, k) => value / 2 + Math.cos(k)),
        )
      }
      yield* run(executable, update, batch)
    }
    return Float32Array.from(own)
  })

const exchanged = (policy: Policy.Policy, changed: Partial<TrainingOptions> = {}) =>
  Effect.gen(function* () {
    const { executable, program, data } = yield* prepared(policy, changed)
    const held = gradientsOf(program).reduce((sum, buffer) => sum + bufferBytes(buffer), 0)
    const { bytes } = gradientRange(program)
    yield* ensure(held > 0 && bytes === held, `gradients take ${held} bytes, but their range has ${bytes}`)

    const oracle = Oracle.make(program)
    const expected = yield* train(oracle, data)
    const found = yield* train(executable, data)
    // Compared on one scale, because the gradient of a bias before batch norm is 0 except for rounding.
    yield* expectClose("gradients before their update", expected, found, tolerance)
    yield* compare(oracle, executable, tolerance)
  })

/** The norm of the written gradients is about 4, and no element exceeds 1.5. */
const chosen: Partial<TrainingOptions> = {
  freeze: ["0.weight", "1.bias"],
  clipNorm: 2,
  clipValue: 0.3,
  groups: [{ parameters: ["*.bias", "1.weight"], rate: 0.1, options: { weightDecay: 0.2 } }],
}

export const gradientCases = [
  ...[Policy.bptt, Policy.sltt].map((policy) => ({
    name: `gradients: the update uses gradients written after the backward direction, ${policy.name}`,
    run: exchanged(policy),
  })),
  {
    name: "gradients: frozen weights, clipping by norm and value, learning rates by group",
    run: exchanged(Policy.bptt, chosen),
  },
]
