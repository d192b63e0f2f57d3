/** Checkpoints and recomputation: less memory, more forward steps, the same bits. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import * as fc from "fast-check"
import {
  batchNorm,
  conv2d,
  defaultLoss,
  flatten,
  Graph,
  lif,
  linear,
  Optimizer,
  Policy,
  Program,
  residual,
} from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { expectSameBits, expectSameForward, programOf, runs, train } from "./harness.ts"

/** A policy that keeps all residuals, and the same that does not. */
const pair = () =>
  fc
    .record({ choice: Arbitrary.policy(), every: fc.option(fc.nat({ max: 6 })) })
    .map(({ choice, every }) => (workload: Arbitrary.Workload) => {
      // What there are checkpoints for is gradient that crosses time.
      const detached = every === null ? choice.detached : choice.detached.filter((edge) => edge !== "membrane")
      const plain = Arbitrary.policyOf({ ...choice, detached, checkpoint: 0, recompute: false }, workload)
      const recomputed = choice.recompute || every === null ? plain.pipe(Policy.recompute) : plain
      const lean = every === null ? recomputed : recomputed.pipe(Policy.checkpoint(every === 0 ? "root" : every))
      return { plain, lean }
    })

/** Linear maps and convolutions that trained steps run forward, in one of their two directions, by their nodes. */
const mapsIn = ({ segments: { train, keep, backward } }: Program.Program, direction: "forward" | "backward") =>
  [...train, ...keep, ...backward]
    .filter(({ kernel, phase }) => /^(conv2d|linear)\.forward$/.test(kernel) && phase === direction)
    .map(({ node }) => node)

test("gradients, metrics, outputs and running statistics are bit-identical to those without checkpoints", () => {
  let [replayed, recomputed] = [0, 0]
  fc.assert(
    fc.property(Arbitrary.workload({ maxTimeSteps: 9 }), pair(), fc.boolean(), (workload, policies, hoist) => {
      const { plain, lean } = policies(workload)
      const expected = train(workload, plain, { hoist })
      for (const memory of ["arena", "separate"] as const) {
        const actual = train(workload, lean, { hoist, memory })
        expectSameBits(actual.gradients, expected.gradients)
        expectSameForward(actual, expected)
        if (actual.program.segments.replay.length > 0) replayed++
        if (mapsIn(actual.program, "backward").length > 0) recomputed++
      }
    }),
    runs(480),
  )
  expect(replayed).toBeGreaterThan(200)
  expect(recomputed).toBeGreaterThan(100)
}, 60_000)

test("every step runs forward once, and again before its backward step unless it is in the last interval", () => {
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
        const interval = Math.min(every, timeSteps)
        const last = interval * (Math.ceil(timeSteps / interval) - 1)
        expect(steps("replay").toSorted((a, b) => a - b)).toEqual(all.slice(0, last))
        expect(steps("save")).toEqual(all.filter((t) => t < last && t % interval === 0))
        expect(steps("restore")).toEqual(steps("save").toReversed())
      },
    ),
    runs(100),
  )
}, 60_000)

test("recomputed outputs of weight layers are not residuals, and run at most once more", () => {
  let less = 0
  fc.assert(
    fc.property(Arbitrary.workload(), fc.integer({ min: 2, max: 12 }), (made, timeSteps) => {
      const workload = { ...made, timeSteps }
      const [plain, lean] = [Policy.bptt, Policy.bptt.pipe(Policy.recompute)].map((policy) =>
        programOf(workload, policy),
      )
      const residuals = ({ buffers }: Program.Program) =>
        buffers.filter(({ kind }) => kind === "residual").reduce((sum, { slots, stride }) => sum + slots * stride, 0)
      const again = mapsIn(lean!, "backward")
      expect(residuals(lean!)).toBeLessThanOrEqual(residuals(plain!))
      expect(mapsIn(plain!, "backward")).toEqual([])
      expect(new Set(again).size).toBe(again.length)
      expect(mapsIn(plain!, "forward")).toEqual(expect.arrayContaining(again))
      expect(mapsIn(lean!, "forward")).toEqual(mapsIn(plain!, "forward"))
      if (residuals(lean!) < residuals(plain!)) less++
    }),
    runs(150),
  )
  expect(less).toBeGreaterThan(30)
}, 60_000)

test("along a residual stream every third value is stored, so no value is more than two weight layers away", () => {
  const block = () => residual(Graph.sequential(batchNorm(), lif(), conv2d({ channels: 2, kernelSize: 3, padding: 1 })))
  const blocks = Array.from({ length: 9 }, block)
  const graph = Graph.makeUnsafe(
    [4, 4, 2],
    Graph.sequential(
      conv2d({ channels: 2, kernelSize: 3, padding: 1 }),
      ...blocks,
      batchNorm(),
      lif(),
      flatten(),
      linear({ features: 2 }),
    ),
  )
  const { buffers } = Effect.runSync(
    Program.compile(graph, Policy.bptt.pipe(Policy.recompute), {
      ...{ batchSize: 2, timeSteps: 3, encoding: "frames", loss: defaultLoss },
      optimizer: Optimizer.sgd(),
    }),
  )
  const stream = graph.nodes.filter(({ op }) => op === "add").map(({ name }) => name)
  const kept = buffers.flatMap(({ kind, role, owner = "" }) =>
    kind === "residual" && role === "value" && stream.includes(owner) ? [owner] : [],
  )
  expect(kept).toEqual([1, 4, 7].map((i) => stream[i] as string))
})

test("residuals are stored for one interval, states for the others", () => {
  fc.assert(
    fc.property(
      Arbitrary.workload(),
      fc.integer({ min: 2, max: 30 }),
      fc.integer({ min: 1, max: 8 }),
      (made, T, every) => {
        const workload = { ...made, timeSteps: T }
        const bytes = (policy: Policy.Policy, kind: Program.BufferKind, timeSteps = T) =>
          programOf({ ...workload, timeSteps }, policy)
            .buffers.filter((buffer) => buffer.kind === kind && buffer.role !== "checkpoint")
            .reduce((sum, { slots, stride }) => sum + slots * stride, 0)
        const lean = Policy.bptt.pipe(Policy.checkpoint(every))
        const interval = Math.min(every, T)
        // BPTT over as many steps as an interval has, where it keeps more than one.
        if (interval > 1) {
          expect(bytes(lean, "residual")).toBe(bytes(Policy.bptt, "residual", interval))
          expect(bytes(lean, "state")).toBe(bytes(Policy.bptt, "state", interval))
        }
        const saved = programOf(workload, lean).buffers.filter(({ role }) => role === "checkpoint")
        for (const { slots } of saved) expect(slots).toBe(Math.ceil(T / interval) - 1)
      },
    ),
    runs(150),
  )
}, 60_000)
