/** Which gradients flow: every policy against the tape, and policies against each other. */
import { expect, test } from "bun:test"
import * as fc from "fast-check"
import { edgesOf } from "../../src/graph/nodes.ts"
import { Policy } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import {
  deviation,
  expectAgreement,
  expectSameBits,
  expectSameForward,
  onSteadyTape,
  onTape,
  runs,
  type Settings,
  train,
} from "./harness.ts"

/** The policy's batch, on the arena and on the tape, is the same. */
const holdAgainstTape = (workload: Arbitrary.Workload, policy: Policy.Policy, settings: Settings = {}): void => {
  const tape = onSteadyTape(workload, policy, settings)
  expectAgreement(train(workload, policy, settings), tape)
}

test("at one time step, the gradients of all policies are equal", () => {
  fc.assert(
    fc.property(Arbitrary.workload({ maxTimeSteps: 1 }), Arbitrary.policy(), (workload, choice) => {
      const expected = train(workload, Policy.bptt)
      for (const policy of [Policy.sltt, Policy.slttK(1), Policy.tbptt(3), Arbitrary.policyOf(choice, workload)]) {
        const actual = train(workload, policy)
        expectSameBits(actual.gradients, expected.gradients)
        expectSameForward(actual, expected)
      }
    }),
    runs(150),
  )
}, 60_000)

test("bptt equals the tape's derivative", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), (workload) => holdAgainstTape(workload, Policy.bptt)),
    runs(600),
  )
}, 60_000)

test("sltt equals bptt with the temporal edges cut", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), (workload) => {
      const { nodes } = Arbitrary.graphOf(workload)
      const cut = Policy.bptt.pipe(Policy.detach("membrane", "reset", ...edgesOf({ nodes }).all))
      const tape = onSteadyTape(workload, cut)
      expectAgreement(train(workload, Policy.sltt), tape)
      expectSameBits(train(workload, Policy.sltt).gradients, train(workload, cut).gradients)
    }),
    runs(400),
  )
}, 60_000)

test("tbptt(w) equals bptt with the temporal edges between windows cut", () => {
  fc.assert(
    fc.property(Arbitrary.workload({ maxTimeSteps: 7 }), fc.integer({ min: 1, max: 6 }), (workload, w) =>
      holdAgainstTape(workload, Policy.tbptt(w)),
    ),
    runs(400),
  )
}, 60_000)

test("every policy equals the tape: edges, windows and trained steps, hoisted or not", () => {
  fc.assert(
    fc.property(Arbitrary.workload({ maxTimeSteps: 6 }), Arbitrary.policy(), fc.boolean(), (workload, choice, hoist) =>
      holdAgainstTape(workload, Arbitrary.policyOf(choice, workload), { hoist }),
    ),
    runs(1000),
  )
}, 60_000)

test("sltt equals tbptt(1)", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), (workload) => {
      expectSameBits(train(workload, Policy.tbptt(1)).gradients, train(workload, Policy.sltt).gradients)
    }),
    runs(100),
  )
}, 60_000)

test("tbptt(w) with a window of at least all steps is bit-identical to bptt", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), fc.nat({ max: 3 }), (workload, more) => {
      const whole = train(workload, Policy.bptt)
      const windowed = train(workload, Policy.tbptt(workload.timeSteps + more))
      expectSameBits(windowed.gradients, whole.gradients)
      expectSameForward(windowed, whole)
      expect(windowed.program.arenaBytes).toBe(whole.program.arenaBytes)
    }),
    runs(150),
  )
}, 60_000)

/** The same piece without memory: a decay of 0, no states, no lags. */
const forgetful = (piece: Arbitrary.Piece): Arbitrary.Piece => {
  if (piece.piece === "residual") return { ...piece, body: piece.body.map(forgetful) }
  if (piece.piece === "recurrent") return { piece: "residual", channels: 1, stride: 1, body: piece.body.map(forgetful) }
  if (piece.piece === "delay") return { piece: "scale", factor: 1 }
  if (piece.piece === "cell")
    return { ...piece, states: [], others: piece.others.filter((other) => other !== "delayed") }
  if (piece.piece === "adaptiveLif" || piece.piece === "currentBasedLif")
    return { ...piece, piece: "lif", tau: 1, reset: "soft" }
  if (piece.piece === "if" || piece.piece === "lif") return { ...piece, piece: "lif", tau: 1 }
  return piece.piece === "leakyReadout" ? { ...piece, tau: 1 } : piece
}

test("with a decay of 0 and the reset detached, bptt equals sltt", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), (remembering) => {
      const workload = {
        ...remembering,
        pieces: remembering.pieces.map(forgetful),
        readOut: { ...remembering.readOut, behind: remembering.readOut.behind.map(forgetful) },
      }
      const graph = Arbitrary.graphOf(workload)
      const learnt = new Set(graph.parameters.map(({ name }) => name).filter((name) => /plif\d+\.w$/.test(name)))
      const parameters = new Map(
        // λ = 1/(1 + e²⁰⁰) is 0 in float32
        [...Arbitrary.parametersOf(graph, workload)].map(([name, values]) => [
          name,
          learnt.has(name) ? values.fill(200) : values,
        ]),
      )
      const sltt = train(workload, Policy.sltt, { parameters })
      const through = train(workload, Policy.bptt.pipe(Policy.detach("reset")), { parameters })
      const { magnitudes } = onTape(workload, Policy.sltt, { parameters })
      expect(deviation(through.gradients, sltt.gradients, magnitudes)).toBeLessThan(1e-5)
      expectSameForward(through, sltt)
    }),
    runs(300),
  )
}, 60_000)
