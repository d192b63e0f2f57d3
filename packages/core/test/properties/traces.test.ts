/** Presynaptic traces: OTTT against SLTT, and against the tape with the neurons' own decays. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import * as fc from "fast-check"
import { stateOf } from "../../src/graph/nodes.ts"
import { Policy, Program } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import {
  deviation,
  expectAgreement,
  expectSameBits,
  expectSameForward,
  onSteadyTape,
  onTape,
  programOf,
  runs,
  train,
} from "./harness.ts"

/** The same piece with the neurons of one decay. */
const decaying = (piece: Arbitrary.Piece, tau: number): Arbitrary.Piece => {
  if (piece.piece === "residual") return { ...piece, body: piece.body.map((each) => decaying(each, tau)) }
  if (piece.piece === "lif" || piece.piece === "if") return { ...piece, piece: "lif", tau }
  if (piece.piece === "recurrent") return { ...piece, body: piece.body.map((each) => decaying(each, tau)) }
  if (piece.piece === "adaptiveLif" || piece.piece === "currentBasedLif") return { ...piece, decay: 1 - 1 / tau }
  return piece.piece === "leakyReadout" ? { ...piece, tau } : piece
}

/** The instructions that move traces. */
const movesOf = ({ segments, buffers }: Program.Program) =>
  segments.train.filter(({ operands }) => buffers[operands.y?.buffer ?? -1]?.role === "trace")

/** Workloads whose neurons all have one decay, but for those that learn it. */
const uniform = () =>
  fc.tuple(Arbitrary.workload({ maxTimeSteps: 6 }), fc.constantFrom(1.1, 2, 4)).map(([workload, tau]) => ({
    ...workload,
    pieces: workload.pieces.map((piece) => decaying(piece, tau)),
    readOut: { ...workload.readOut, behind: workload.readOut.behind.map((piece) => decaying(piece, tau)) },
  }))

const compiles = (workload: Arbitrary.Workload): boolean =>
  Effect.runSync(
    Program.compile(Arbitrary.graphOf(workload), Policy.ottt, Arbitrary.optionsOf(workload)).pipe(
      Effect.match({ onSuccess: () => true, onFailure: () => false }),
    ),
  )

test("ottt equals the tape, with traces that decay like the preceding neurons, including trained decays", () => {
  let learnt = 0
  let refused = 0
  fc.assert(
    fc.property(uniform(), (workload) => {
      if (!compiles(workload)) refused++
      fc.pre(compiles(workload))
      const actual = train(workload, Policy.ottt)
      expectAgreement(actual, onSteadyTape(workload, Policy.ottt))
      const moves = movesOf(actual.program)
      if (moves.some(({ operands }) => operands.p0)) learnt++
    }),
    runs(400),
  )
  expect(learnt).toBeGreaterThan(40)
  // A layer that learns its decay beside one that does not, before one map.
  expect(refused).toBeLessThan(120)
}, 60_000)

test("ottt equals sltt at one time step, and for a decay of 0", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), (workload) => {
      const single = { ...workload, timeSteps: 1 }
      if (compiles(single)) {
        expectSameBits(train(single, Policy.ottt).gradients, train(single, Policy.sltt).gradients)
        expectSameForward(train(single, Policy.ottt), train(single, Policy.sltt))
      }
      const forgetful = train(workload, Policy.sltt.pipe(Policy.trace(0)))
      expectSameBits(forgetful.gradients, train(workload, Policy.sltt).gradients)
      expectSameForward(forgetful, train(workload, Policy.sltt))
    }),
    runs(200),
  )
}, 60_000)

/** Linear maps and convolutions, transposed ones too. */
const isMap = (op: string): boolean => op === "linear" || op.startsWith("conv")

test("traces only affect weights of layers that follow neurons", () => {
  let changed = 0
  fc.assert(
    fc.property(Arbitrary.workload(), (workload) => {
      const graph = Arbitrary.graphOf(workload)
      const policy = Policy.sltt.pipe(Policy.trace(0.7))
      const traced = train(workload, policy)
      const plain = train(workload, Policy.sltt)
      expectSameForward(traced, plain)
      const tracedMaps = new Set(movesOf(traced.program).map(({ node }) => node))
      for (const { name, role } of graph.parameters) {
        if (role !== "weight") continue
        const users = graph.nodes.filter(({ inputs }) => inputs.includes(name))
        const seesTrace = users.some(({ op }) => isMap(op) || op === "weightStandardization")
        if (!seesTrace || name.endsWith("bias") || tracedMaps.size === 0)
          expectSameBits(new Map([[name, traced.gradients.get(name)!]]), new Map([[name, plain.gradients.get(name)!]]))
      }
      const { magnitudes } = onTape(workload, policy)
      if (deviation(traced.gradients, plain.gradients, magnitudes) > 1e-2) changed++
    }),
    runs(150),
  )
  expect(changed).toBeGreaterThan(30)
}, 60_000)

test("peak bytes do not depend on T", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), fc.integer({ min: 1, max: 40 }), (workload, timeSteps) => {
      const policy = Policy.sltt.pipe(Policy.trace(0.5))
      const bytes = (T: number) => programOf({ ...workload, timeSteps: T }, policy).arenaBytes
      expect(bytes(timeSteps)).toBe(bytes(1))
    }),
    runs(100),
  )
}, 60_000)

test("traced weight layers are the linear layers and convolutions whose input comes from neurons", () => {
  const moves = (program: Program.Program) => movesOf(program).map(({ node }) => node)
  fc.assert(
    fc.property(uniform(), (workload) => {
      fc.pre(compiles(workload))
      const graph = Arbitrary.graphOf(workload)
      const behind = new Set<string>()
      const shared = new Set<string>()
      const expected: Array<string> = []
      const memory = (name: string): string => {
        const node = graph.nodes.find((each) => each.name === name)
        return node?.op === "flatten" ? memory(node.inputs[0]!) : name
      }
      // What is fed back may come from behind.
      for (let before = -1; before !== behind.size; ) {
        before = behind.size
        for (const node of graph.nodes)
          if (stateOf(node) || node.inputs.some((input) => behind.has(input))) behind.add(node.name)
      }
      for (const { name, op, inputs } of graph.nodes) {
        if (!isMap(op) || !behind.has(inputs[0]!)) continue
        // Maps of one value share its trace.
        if (!shared.has(memory(inputs[0]!))) expected.push(name)
        shared.add(memory(inputs[0]!))
      }
      expect(moves(programOf(workload, Policy.ottt))).toEqual(expected)
    }),
    runs(100),
  )
})
