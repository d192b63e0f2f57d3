/** A graph file that was changed anywhere is refused with a GraphError, or is a graph that compiles and trains. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import * as fc from "fast-check"
import { defaultLoss, Graph, GraphError, Key, Optimizer, Policy, Program, Shape, Train } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { runs, sync } from "./harness.ts"

type Json = { [key: string]: Json } | Array<Json> | string | number | boolean | null

/** The places of a JSON value: every container with every key. */
const places = (value: Json): ReadonlyArray<readonly [holder: Record<string, Json>, key: string]> =>
  typeof value !== "object" || value === null
    ? []
    : Object.keys(value).flatMap((key) => {
        const holder = value as Record<string, Json>
        return [[holder, key] as const, ...places(holder[key] as Json)]
      })

const numbers = [0, -1, 1, 2, 3, 5, 0.5, 1e39, 1e-60, 2 ** 31, 1e300]

/** Changes one place: to another value of the same graph, another number, nothing, twice the same. */
const mutate = (graph: Json, [at, how, which]: readonly [number, number, number]): void => {
  const all = places(graph)
  const [holder, key] = all[at % all.length]!
  const [otherHolder, otherKey] = all[which % all.length]!
  const old = holder[key] as Json
  const other = structuredClone(otherHolder[otherKey] as Json)
  const choices: ReadonlyArray<() => void> = [
    () => Array.isArray(holder) && holder.splice(Number(key), 1),
    () => Array.isArray(holder) && holder.splice(Number(key), 0, structuredClone(old)),
    () => {
      if (typeof old === "number") holder[key] = numbers[which % numbers.length] as number
      else if (typeof old === typeof other) holder[key] = other
    },
    () => {
      holder[key] = other
    },
    () => {
      delete holder[key]
    },
    () => {
      if (!Array.isArray(holder)) holder[`${key}x`] = old
    },
  ]
  choices[how % choices.length]!()
}

const options = { timeSteps: 2, loss: defaultLoss, optimizer: Optimizer.sgd(), key: Key.make(1) }

/** What reading a changed graph, compiling it and one step came to; what is no typed error is thrown. */
const outcome = (json: unknown): "refused" | "trains" | "large" => {
  const read = Effect.runSync(Effect.result(Graph.fromJson(json)))
  if (read._tag === "Failure") {
    expect(read.failure).toBeInstanceOf(GraphError)
    expect(read.failure.message).not.toContain("\n")
    return "refused"
  }
  const graph = read.success
  // What is too large for a test is not run.
  if ([...graph.types.values()].some(({ shape }) => Shape.size(shape) > 1e5)) return "large"
  const classes = graph.types.get(graph.output)!.shape[0] as number
  for (const policy of [Policy.bptt, Policy.ottt]) {
    const trained = Effect.gen(function* () {
      const trainer = yield* Train.make(graph, policy, { ...options, batchSize: 2 })
      expect(Program.defects(trainer.program)).toEqual([])
      const inputs = Float32Array.from({ length: 2 * Shape.size(graph.input) }, (_, i) => (i % 3) - 0.5)
      const labels = Float32Array.of(0, classes - 1)
      yield* trainer.step({ inputs, labels }, { update: 1, learningRate: 0.1 })
    })
    // Errors are typed: a defect throws.
    const ended = sync(Effect.result(trained))
    if (ended._tag === "Failure")
      expect(["NonFiniteLossError", "PolicyError", "ProgramError"]).toContain(ended.failure._tag)
  }
  return "trains"
}

test("is rejected or trains", () => {
  const counts = { refused: 0, trains: 0, large: 0 }
  fc.assert(
    fc.property(
      Arbitrary.workload({ maxTimeSteps: 2, maxBatchSize: 2 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { minLength: 1, maxLength: 2 }),
      (workload, mutations) => {
        const json = structuredClone(Graph.toJson(Arbitrary.graphOf(workload))) as unknown as Json
        for (const mutation of mutations) mutate(json, mutation)
        counts[outcome(json)]++
      },
    ),
    runs(600),
  )
  // Changes of both kinds were tried.
  expect(counts.refused).toBeGreaterThan(100)
  expect(counts.trains).toBeGreaterThan(20)
}, 60_000)
