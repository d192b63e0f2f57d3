/** What a program plans: places in memory, lifetimes, peak bytes. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import * as fc from "fast-check"
import { Backend, Policy, Program } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { expectSameBits, expectSameForward, programOf, runs, sync, train } from "./harness.ts"

/** Any program: of any policy, hoisted or not. */
const anyProgram = () =>
  fc
    .record({
      workload: Arbitrary.workload({ maxTimeSteps: 6 }),
      choice: Arbitrary.policy(),
      hoist: fc.boolean(),
    })
    .map(({ workload, choice, hoist }) => ({
      workload,
      hoist,
      policy: Arbitrary.policyOf(choice, workload),
    }))

test("the arena and separate memory for all buffers are bit-identical", () => {
  fc.assert(
    fc.property(anyProgram(), ({ workload, policy, hoist }) => {
      const arena = train(workload, policy, { hoist })
      const separate = train(workload, policy, { hoist, memory: "separate" })
      expectSameBits(arena.gradients, separate.gradients)
      expectSameForward(arena, separate)
      for (const gradient of arena.gradients.values()) expect(gradient.every(Number.isFinite)).toBe(true)
    }),
    runs(500),
  )
}, 60_000)

test("observing nodes changes no result", () => {
  fc.assert(
    fc.property(
      anyProgram(),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }),
      ({ workload, policy, hoist }, pattern) => {
        const { nodes } = Arbitrary.graphOf(workload)
        const observe = nodes.map(({ name }) => name).filter((_, i) => pattern[i % pattern.length])
        const plain = train(workload, policy, { hoist })
        const observed = train(workload, policy, { hoist, observe })
        expect(Program.defects(observed.program)).toEqual([])
        expectSameBits(observed.gradients, plain.gradients)
        expectSameForward(observed, plain)
      },
    ),
    runs(300),
  )
}, 60_000)

test("every program is well formed", () => {
  fc.assert(
    fc.property(anyProgram(), ({ workload, policy, hoist }) => {
      expect(Program.defects(programOf(workload, policy, { hoist }))).toEqual([])
      const { batchSize, timeSteps, encoding } = workload
      const inference = Program.compileInference(Arbitrary.graphOf(workload), { batchSize, timeSteps, encoding })
      expect(Program.defects(Effect.runSync(inference))).toEqual([])
    }),
    runs(400),
  )
}, 60_000)

test("a buffer is alive wherever an instruction uses it, and no two live buffers overlap", () => {
  fc.assert(
    fc.property(anyProgram(), ({ workload, policy, hoist }) => {
      const { buffers, segments } = programOf(workload, policy, { hoist })
      let position = 0
      for (const segment of Program.segmentNames)
        for (const { operands } of segments[segment]) {
          for (const { buffer } of Object.values(operands)) {
            const [from, to] = buffers[buffer]!.lifetime
            expect(from <= position && position <= to).toBe(true)
          }
          position++
        }
      for (const [i, a] of buffers.entries())
        for (const b of buffers.slice(0, i)) {
          const together = a.lifetime[0] <= b.lifetime[1] && b.lifetime[0] <= a.lifetime[1]
          const apart = a.offset + a.slots * a.stride <= b.offset || b.offset + b.slots * b.stride <= a.offset
          if (together && !apart) throw new Error(`${a.name} and ${b.name} overlap`)
        }
    }),
    runs(300),
  )
}, 60_000)

test("the planned peak is the allocated size, ends with the last buffer, and fits all live buffers at any time", () => {
  fc.assert(
    fc.property(anyProgram(), ({ workload, policy, hoist }) => {
      const program = programOf(workload, policy, { hoist })
      const taken = sync(
        Effect.gen(function* () {
          return (yield* (yield* Backend).prepare(program)).allocatedBytes()
        }),
      )
      const { peakBytes, bytesByKind } = Program.cost(program)
      expect(peakBytes).toBe(taken)
      expect(peakBytes).toBe(Math.max(...program.buffers.map((each) => each.offset + each.slots * each.stride)))
      expect(Object.values(bytesByKind).reduce((a, b) => a + b)).toBeLessThanOrEqual(peakBytes)
      const gradients = program.buffers.filter(({ kind }) => kind === "gradient")
      const first = Math.min(...gradients.map(({ offset }) => offset))
      const end = Math.max(...gradients.map((each) => each.offset + each.stride))
      if (gradients.length > 0) expect(end - first).toBe(gradients.reduce((total, { stride }) => total + stride, 0))
    }),
    runs(200),
  )
}, 60_000)

test("the peak of sltt and slttK depends on neither T nor K; that of bptt grows with T", () => {
  let grew = 0
  fc.assert(
    fc.property(Arbitrary.workload(), fc.integer({ min: 1, max: 40 }), fc.nat(), (workload, timeSteps, more) => {
      const bytes = (policy: Policy.Policy, T: number) => programOf({ ...workload, timeSteps: T }, policy).arenaBytes
      const one = bytes(Policy.sltt, 1)
      expect(bytes(Policy.sltt, timeSteps)).toBe(one)
      expect(bytes(Policy.slttK(1 + (more % timeSteps)), timeSteps)).toBe(one)
      const through = [1, timeSteps, timeSteps + 1].map((T) => bytes(Policy.bptt, T))
      expect(through).toEqual(through.toSorted((a, b) => a - b))
      if (through[2]! > through[1]!) grew++
    }),
    runs(150),
  )
  expect(grew).toBeGreaterThan(100)
}, 60_000)
