/** A batch in parts is the batch: states, lags and what is fed back begin anew with each part. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import * as fc from "fast-check"
import { Key, Policy, Program, Steps, Train } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { deviation, onSteadyTape, runs, sync } from "./harness.ts"

/** Without pieces of these kinds. */
const without =
  (...kinds: ReadonlyArray<Arbitrary.Piece["piece"]>) =>
  (piece: Arbitrary.Piece): Arbitrary.Piece =>
    piece.piece === "residual" || piece.piece === "recurrent"
      ? { ...piece, body: piece.body.map(without(...kinds)) }
      : kinds.includes(piece.piece)
        ? { piece: "gain" }
        : piece

/** A workload of several parts of one or two samples. */
const partedOf = (made: Arbitrary.Workload, parts: number, separate: ReturnType<typeof without>) => ({
  ...made,
  pieces: made.pieces.map(separate),
  readOut: { ...made.readOut, behind: made.readOut.behind.map(separate) },
  batchSize: parts * (made.batchSize === 3 ? 2 : 1),
})

const train = (
  workload: Arbitrary.Workload,
  policy: Policy.Policy,
  cut: Partial<Program.TrainingOptions>,
  batch = Arbitrary.batchOf(Arbitrary.graphOf(workload), workload),
) =>
  sync(
    Effect.gen(function* () {
      const graph = Arbitrary.graphOf(workload)
      const options = { ...Arbitrary.optionsOf(workload), ...cut, key: Key.make(1) }
      const trainer = yield* Train.make(graph, policy, options)
      for (const [name, values] of Arbitrary.parametersOf(graph, workload))
        yield* trainer.executable.write(Program.bufferNames.parameter(name), values)
      return yield* trainer.differentiate(batch, { update: 1 })
    }),
  )

/** The `index`-th of equal shares of a batch: of [T, N, …], or of [N, …] for T = 1. */
const shareOf = (values: Float32Array, steps: number, index: number, count: number): Float32Array => {
  const length = values.length / steps / count
  return Float32Array.from({ length: steps * length }, (_, i) => {
    const t = Math.floor(i / length)
    return values[(t * count + index) * length + (i % length)] as number
  })
}

test("gradients, loss, outputs and rates of micro-batches equal those of the batch", () => {
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
        const workload = partedOf(made, parts, without("batchNorm", "dropout"))
        const { magnitudes } = onSteadyTape(workload, policy)
        const whole = train(workload, policy, { microBatches: 1 })
        const cut = train(workload, policy, { microBatches: parts })
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

test("shares trained separately and summed in order are bit-identical to micro-batches", () => {
  fc.assert(
    fc.property(
      Arbitrary.workload({ maxTimeSteps: 3 }),
      fc.constantFrom(Policy.bptt, Policy.sltt, Policy.slttK(1), Policy.checkpointedBptt),
      fc.constantFrom(2, 3, 4),
      (made, policy, count) => {
        const workload = partedOf(made, count, without("batchNorm"))
        const cut = train(workload, policy, { microBatches: count })
        const { inputs, labels } = Arbitrary.batchOf(Arbitrary.graphOf(workload), workload)
        const steps = workload.encoding === "frames" ? workload.timeSteps : 1
        const batchSize = workload.batchSize / count
        const shares = Array.from({ length: count }, (_, index) =>
          train(
            { ...workload, batchSize },
            policy,
            { share: { index, count } },
            {
              inputs: shareOf(inputs, steps, index, count),
              labels: shareOf(labels, 1, index, count),
            },
          ),
        )
        const sum = (of: (share: (typeof shares)[number]) => ArrayLike<number>) =>
          Float32Array.from(of(cut), (_, i) => shares.reduce((sum, each) => Math.fround(sum + (of(each)[i] ?? 0)), 0))
        for (const [name, gradient] of cut.gradients)
          expect(sum(({ gradients }) => gradients.get(name) ?? [])).toEqual(new Float32Array(gradient))
        expect(sum(({ loss }) => [loss])).toEqual(Float32Array.of(cut.loss))
        expect(sum(({ firingRates }) => firingRates)).toEqual(Float32Array.from(cut.firingRates))
      },
    ),
    runs(15),
  )
}, 60_000)
