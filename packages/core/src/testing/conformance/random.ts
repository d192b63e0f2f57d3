/** Random networks under random policies against the oracle. */
import { Effect } from "effect"
import * as fc from "fast-check"
import { Backend } from "../../backend/backend.ts"
import { draw } from "../../policies/policy.ts"
import { check } from "../../program/check.ts"
import { compile } from "../../program/compile.ts"
import { schedule } from "../../program/schedule.ts"
import * as Key from "../../random.ts"
import {
  type Workload as Arbitrary,
  batchOf,
  type Choice,
  graphOf,
  keyOf,
  margin,
  optionsOf,
  parametersOf,
  policy,
  policyOf,
  workload,
} from "../arbitrary/index.ts"
import { ConformanceError, ensure } from "./compare.ts"
import * as Oracle from "./oracle.ts"
import type { ProgramFailure } from "./programs.ts"
import { compare, drawWith, feed, run, writeParameters } from "./workload.ts"

const tolerance = 1e-4

/** Workloads with a membrane or a max pool closer than this to a discontinuity are skipped. */
const leastMargin = 1e-3

/** Runs one batch of a workload on the oracle and on the backend. */
const agrees = (made: Arbitrary, choice: Choice): Effect.Effect<void, ProgramFailure, Backend> =>
  Effect.gen(function* () {
    const graph = graphOf(made)
    const chosen = policyOf(choice, made)
    const program = yield* Effect.flatMap(compile(graph, chosen, optionsOf(made)), check)
    const key = Key.make(made.seed)
    const trained = yield* drawWith(Key.fold(key, "steps"), draw(chosen, made.timeSteps))
    const batch = { ...batchOf(graph, made), key, trained }
    const both = [Oracle.make(program), yield* (yield* Backend).prepare(program)] as const
    for (const each of both) {
      yield* writeParameters(each, parametersOf(graph, made))
      yield* feed(each, batch, 1, ({ owner = "" }) => keyOf(owner, made))
      yield* run(each, schedule(program, trained), batch)
    }
    yield* compare(...both, tolerance)
  }).pipe(
    Effect.scoped,
    Effect.mapError((error) =>
      error instanceof ConformanceError
        ? new ConformanceError({ reason: `${error.reason}\nof ${JSON.stringify({ workload: made, policy: choice })}` })
        : error,
    ),
  )

const sampled = (seed: number, numRuns: number): Effect.Effect<void, ProgramFailure, Backend> =>
  Effect.gen(function* () {
    let kept = 0
    for (const [made, choice] of fc.sample(fc.tuple(workload(), policy()), { seed, numRuns })) {
      const distance = yield* Effect.scoped(margin(made)).pipe(Effect.provide(Oracle.layer()))
      if (!(distance > leastMargin)) continue
      kept++
      yield* agrees(made, choice)
    }
    yield* ensure(kept > numRuns / 4, `only ${kept} of ${numRuns} random networks stay away from jumps`)
  })

export const randomCases = [1, 2, 3, 4].map((seed) => ({ name: `random networks ${seed}`, run: sampled(seed, 40) }))
