/** A batch in parts is the batch: states, lags and what is fed back begin anew with each part. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import * as fc from "fast-check"
import { Key, Policy, Program, Steps, Train } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { deviation, onSteadyTape, runs, sync } from "./harness.ts"

/** What mixes samples, or draws anew for each part, is left out. */
const separate = (piece: Arbitrary.Piece): Arbitrary.Piece =>
  piece.piece === "residual" || piece.piece === "recurrent"
    ? { ...piece, body: piece.body.map(separate) }
    : piece.piece === "batchNorm" || piece.piece === "dropout"
      ? { piece: "gain" }
      : piece

const train = (workload: Arbitrary.Workload, policy: Policy.Policy, microBatches: number) =>
  sync(
    Effect.gen(function* () {
      const graph = Arbitrary.graphOf(workload)
      const options = { ...Arbitrary.optionsOf(workload), microBatches, key: Key.make(1) }
      const trainer = yield* Train.make(graph, policy, options)
      for (const [name, values] of Arbitrary.parametersOf(graph, workload))
        yield* trainer.executable.write(Program.bufferNames.parameter(name), values)
      const result = yield* trainer.step(Arbitrary.batchOf(graph, workload), { update: 1, learningRate: 0 })
      const gradients = new Map<string, Float32Array>()
      for (const { name, role } of graph.parameters)
        if (role === "weight") gradients.set(name, yield* trainer.executable.read(Program.bufferNames.gradient(name)))
      return { ...result, gradients }
    }),
  )

test("gradients, loss, outputs and rates of micro-batches are those of the batch", () => {
  let parted = 0
  fc.assert(
    fc.property(
      Arbitrary.workload({ maxTimeSteps: 4 }),
      fc.constantFrom(
        Policy.bptt,
        Policy.sltt,
        Policy.tbptt(2),
        Policy.checkpointedBptt,
        Policy.bptt.pipe(Policy.trainOn(Steps.last(1))),
      ),
      fc.constantFrom(2, 3, 4),
      (made, policy, parts) => {
        const workload = {
          ...made,
          pieces: made.pieces.map(separate),
          readOut: { ...made.readOut, behind: made.readOut.behind.map(separate) },
          batchSize: parts * (made.batchSize === 3 ? 2 : 1),
        }
        const { magnitudes } = onSteadyTape(workload, policy)
        const whole = train(workload, policy, 1)
        const cut = train(workload, policy, parts)
        parted++
        expect(deviation(cut.gradients, whole.gradients, magnitudes)).toBeLessThan(1e-5)
        expect(Math.abs(cut.loss - whole.loss)).toBeLessThan(1e-5 * Math.max(1, whole.loss))
        expect([...cut.outputs]).toEqual([...whole.outputs])
        expect(deviation(new Map([["", cut.firingRates]]), new Map([["", whole.firingRates]]))).toBeLessThan(1e-5)
      },
    ),
    runs(150),
  )
  expect(parted).toBeGreaterThan(100)
}, 60_000)
