/** Checkpoints: less memory, more forward steps, the same bits. */
import { expect, test } from "bun:test"
import * as fc from "fast-check"
import { Policy, Program } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { expectSameBits, expectSameForward, programOf, runs, train } from "./harness.ts"

/** A policy without checkpoints, the same with them, and the steps between two. */
const pair = () =>
  fc
    .record({ choice: Arbitrary.policy(), every: fc.nat({ max: 6 }) })
    .map(({ choice, every }) => (timeSteps: number) => {
      const detached = choice.detached.filter((edge) => edge !== "membrane")
      const plain = Arbitrary.policyOf({ ...choice, detached, checkpoint: 0 }, timeSteps)
      return { plain, lean: plain.pipe(Policy.checkpoint(every === 0 ? "root" : every)) }
    })

test("gradients, metrics, outputs and running statistics are the same bits as without", () => {
  let replayed = 0
  fc.assert(
    fc.property(Arbitrary.workload({ maxTimeSteps: 9 }), pair(), fc.boolean(), (workload, policies, hoist) => {
      const { plain, lean } = policies(workload.timeSteps)
      const expected = train(workload, plain, { hoist })
      for (const memory of ["arena", "separate"] as const) {
        const actual = train(workload, lean, { hoist, memory })
        expectSameBits(actual.gradients, expected.gradients)
        expectSameForward(actual, expected)
        if (actual.program.segments.replay.length > 0) replayed++
      }
    }),
    runs(400),
  )
  expect(replayed).toBeGreaterThan(200)
}, 60_000)

test("every step runs forward once and, but for those of the last stretch, once again before its backward step", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 40 }),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(),
      (timeSteps, every, seed) => {
        const workload = {
          ...(fc.sample(Arbitrary.workload(), { seed, numRuns: 1 })[0] as Arbitrary.Workload),
          timeSteps,
        }
        const program = programOf(workload, Policy.bptt.pipe(Policy.checkpoint(every)))
        const calls = Program.schedule(program, [...Array(timeSteps).keys()])
        const steps = (...segments: ReadonlyArray<Program.SegmentName>) =>
          calls.filter(({ segment }) => segments.includes(segment)).map(({ t }) => t)
        const all = [...Array(timeSteps).keys()]
        expect(steps("forward", "keep")).toEqual(all)
        expect(steps("backward")).toEqual(all.toReversed())
        const stretch = Math.min(every, timeSteps)
        const last = stretch * (Math.ceil(timeSteps / stretch) - 1)
        expect(steps("replay").toSorted((a, b) => a - b)).toEqual(all.slice(0, last))
        expect(steps("save")).toEqual(all.filter((t) => t < last && t % stretch === 0))
        expect(steps("restore")).toEqual(steps("save").toReversed())
      },
    ),
    runs(100),
  )
}, 60_000)

test("residuals are those of one stretch, and saved states those of the others", () => {
  fc.assert(
    fc.property(
      Arbitrary.workload(),
      fc.integer({ min: 2, max: 30 }),
      fc.integer({ min: 1, max: 8 }),
      (made, T, every) => {
        const workload = { ...made, timeSteps: T }
        const bytes = (policy: Policy.Policy, kind: Program.BufferKind, timeSteps = T) =>
          programOf({ ...workload, timeSteps }, policy)
            .buffers.filter((buffer) => buffer.kind === kind && !buffer.name.startsWith("checkpoint/"))
            .reduce((sum, { slots, stride }) => sum + slots * stride, 0)
        const lean = Policy.bptt.pipe(Policy.checkpoint(every))
        const stretch = Math.min(every, T)
        // BPTT over as many steps as a stretch has, where it keeps more than one.
        if (stretch > 1) {
          expect(bytes(lean, "residual")).toBe(bytes(Policy.bptt, "residual", stretch))
          expect(bytes(lean, "state")).toBe(bytes(Policy.bptt, "state", stretch))
        }
        const saved = programOf(workload, lean).buffers.filter(({ name }) => name.startsWith("checkpoint/"))
        for (const { slots } of saved) expect(slots).toBe(Math.ceil(T / stretch) - 1)
      },
    ),
    runs(150),
  )
}, 60_000)
