/** Policies and the steps that they train. */
import { describe, expect, test } from "bun:test"
import { Effect, Random } from "effect"
import { Key, Policy, quote, Steps } from "../src/index.ts"

const draw = (policy: Policy.Policy, timeSteps: number, seed = 1) =>
  Effect.runSync(
    Policy.draw(policy, timeSteps).pipe(Effect.provideService(Random.Random, Key.generator(Key.make(seed)))),
  )

const refusal = (policy: Policy.Policy, timeSteps: number): string =>
  Effect.runSync(
    Policy.check(policy, timeSteps).pipe(Effect.match({ onSuccess: () => "", onFailure: (e) => e.message })),
  )

describe("values", () => {
  test("bptt cuts nothing and trains all steps", () => {
    expect(Policy.bptt.detached).toEqual(new Set())
    expect(Policy.windowOf(Policy.bptt, 6)).toBe(6)
    expect(draw(Policy.bptt, 4)).toEqual([0, 1, 2, 3])
  })
  test("tbptt splits time into windows, at most as long as the run", () => {
    expect(Policy.windowOf(Policy.tbptt(3), 6)).toBe(3)
    expect(Policy.windowOf(Policy.tbptt(9), 6)).toBe(6)
  })
  test("the shorter of two windows applies", () => {
    expect(Policy.windowOf(Policy.tbptt(2).pipe(Policy.truncate(4)), 6)).toBe(2)
    expect(Policy.windowOf(Policy.tbptt(4).pipe(Policy.truncate(2)), 6)).toBe(2)
  })
  test("sltt detaches both edges, so no gradient crosses time steps", () => {
    expect(Policy.isCut(Policy.sltt, "any")).toBe(true)
    expect(Policy.windowOf(Policy.sltt, 6)).toBe(1)
  })
  test("detaching only the reset still lets gradient cross time steps", () => {
    expect(Policy.windowOf(Policy.bptt.pipe(Policy.detach("reset")), 6)).toBe(6)
  })
  test("checkpoint intervals: the root of a window, or a number of steps; none if no gradient crosses time steps", () => {
    expect([1, 4, 5, 6, 9, 32].map((T) => Policy.checkpointIntervalOf(Policy.checkpointedBptt, T))).toEqual([
      1, 2, 3, 3, 3, 6,
    ])
    expect(Policy.checkpointIntervalOf(Policy.bptt.pipe(Policy.checkpoint(4)), 6)).toBe(4)
    expect(Policy.checkpointIntervalOf(Policy.bptt.pipe(Policy.checkpoint(9)), 6)).toBe(6)
    expect(Policy.checkpointIntervalOf(Policy.tbptt(4).pipe(Policy.checkpoint()), 9)).toBe(2)
    expect(Policy.checkpointIntervalOf(Policy.bptt, 6)).toBe(6)
    expect(Policy.checkpointIntervalOf(Policy.sltt.pipe(Policy.checkpoint(3)), 6)).toBe(1)
  })
  test("combinators do not modify the given policy", () => {
    Policy.bptt.pipe(Policy.detach("membrane"), Policy.truncate(2), Policy.trainOn(Steps.last(1)), Policy.named("x"))
    expect(Policy.bptt.name).toBe("bptt")
    expect(Policy.bptt.detached).toEqual(new Set())
    expect(Policy.bptt.window).toBe(Number.POSITIVE_INFINITY)
    expect(Policy.bptt.steps).toBe(Steps.all)
  })
})

test("names describe the parts of a policy", () => {
  expect(Policy.slttK(4).name).toBe("slttk(4)")
  expect(Policy.tbptt(3).name).toBe("tbptt(3)")
  expect(Policy.sltt.pipe(Policy.trainOn(Steps.last(4))).name).toBe("sltt-last(4)")
  expect(Policy.bptt.pipe(Policy.detach("reset"), Policy.truncate(2), Policy.trainOn(Steps.every(3))).name).toBe(
    "bptt-detach(reset)-truncate(2)-every(3)",
  )
  expect(Policy.ottt.name).toBe("ottt")
  expect(Policy.slttK(2).pipe(Policy.trace(), Policy.checkpoint()).name).toBe("slttk(2)-trace-checkpoint")
  expect(Policy.sltt.pipe(Policy.trace(0.5), Policy.checkpoint(3)).name).toBe("sltt-trace(0.5)-checkpoint(3)")
  expect(Policy.policyNames).toEqual(["bptt", "bptt-checkpoint", "tbptt", "sltt", "slttk", "ottt", "eprop", "rate"])
})

describe("invalid policies are rejected, with the policy named", () => {
  const error = (policy: unknown, timeSteps = 4) =>
    Effect.runSync(Effect.flip(Policy.check(policy as Policy.Policy, timeSteps, new Set(["membrane"]))))
  const refused = (policy: unknown, ...parts: ReadonlyArray<string>) => {
    const { _tag, reason } = error(policy)
    expect(_tag).toBe("PolicyError")
    for (const part of parts) expect(reason).toContain(part)
  }
  test("more trained steps than steps", () => {
    expect(error(Policy.slttK(6))).toMatchObject({ policy: "slttk(6)" })
    expect(refusal(Policy.slttK(4), 4)).toBe("")
    refused(Policy.bptt.pipe(Policy.trainOn(Steps.last(5))), "5")
  })
  for (const k of [0, -1, 1.5, Number.NaN, "2"] as ReadonlyArray<number>)
    test(`${typeof k} ${k} trained steps`, () => {
      refused(Policy.slttK(k), quote(k))
      refused(Policy.bptt.pipe(Policy.trainOn(Steps.last(k))), quote(k))
    })
  for (const w of [0, -2, 1.5, Number.NaN, "2", undefined] as ReadonlyArray<number>)
    test(`a window of ${typeof w} ${w}`, () => {
      refused(Policy.tbptt(w), "window")
    })
  test("a trace together with the gradient that it replaces, or a growing one", () => {
    refused(Policy.bptt.pipe(Policy.trace()), "membrane")
    refused(Policy.bptt.pipe(Policy.detach("reset"), Policy.trace()), "membrane")
    expect(refusal(Policy.tbptt(1).pipe(Policy.trace()), 4)).toBe("")
    for (const decay of [-0.1, 1.5, Number.NaN, "0.5", "presynaptc"] as ReadonlyArray<number>)
      refused(Policy.sltt.pipe(Policy.trace(decay)), quote(decay))
  })
  for (const steps of [0, 1.5, Number.NaN, "rot"] as ReadonlyArray<number>)
    test(`a checkpoint every ${steps} steps`, () => {
      refused(Policy.bptt.pipe(Policy.checkpoint(steps)), quote(steps))
    })
  for (const n of [0, -1, 1.5, Number.NaN, "2"] as ReadonlyArray<number>)
    test(`every ${typeof n} ${n} steps`, () => {
      refused(Policy.sltt.pipe(Policy.trainOn(Steps.every(n))), "0")
    })
  test("unknown edges, with the most similar one", () => {
    refused(Policy.bptt.pipe(Policy.detach("membrne" as "membrane")), '"membrne"', '"membrane"')
    refused(Policy.bptt.pipe(Policy.detach("reset", undefined as never)), "undefined", "membrane, reset")
  })
  test("invalid steps", () => {
    for (const steps of [undefined, 2, Steps.last, "all"])
      refused(Policy.sltt.pipe(Policy.trainOn(steps as unknown as Steps.Steps)), "steps")
  })
  test("values that are not policies, with the most similar name", () => {
    for (const policy of ["sltt", undefined, Policy.slttK, Policy.bptt.pipe(Policy.trace as never)]) refused(policy)
    expect(error("a\u001b[31m").message).not.toContain("\u001b")
  })
})

describe("steps", () => {
  const steps = (chosen: Steps.Steps, timeSteps: number) => draw(Policy.sltt.pipe(Policy.trainOn(chosen)), timeSteps)
  test("all, last, every", () => {
    expect(steps(Steps.all, 3)).toEqual([0, 1, 2])
    expect(steps(Steps.last(2), 5)).toEqual([3, 4])
    expect(steps(Steps.every(2), 5)).toEqual([0, 2, 4])
    expect(steps(Steps.every(2), 6)).toEqual([1, 3, 5])
    expect(steps(Steps.every(9), 4)).toEqual([3])
    expect(Steps.every(2).count(5)).toBe(3)
  })
  test("sample draws k different steps in order, and different ones for another seed", () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      const drawn = draw(Policy.slttK(3), 6, seed)
      expect(drawn).toHaveLength(3)
      expect(new Set(drawn).size).toBe(3)
      expect(drawn).toEqual(drawn.toSorted((a, b) => a - b))
      expect(drawn.every((t) => Number.isInteger(t) && t >= 0 && t < 6)).toBe(true)
      seen.add(drawn.join())
    }
    // All 20 sets of 3 out of 6.
    expect(seen.size).toBe(20)
  })
  test("the same seed draws the same steps", () => {
    expect(draw(Policy.slttK(3), 20, 7)).toEqual(draw(Policy.slttK(3), 20, 7))
    expect(draw(Policy.slttK(3), 20, 7)).not.toEqual(draw(Policy.slttK(3), 20, 8))
  })
  test("custom steps are sorted; invalid ones are rejected", () => {
    const own = (count: number, drawn: ReadonlyArray<number>) =>
      Policy.sltt.pipe(
        Policy.trainOn(
          Steps.custom(
            "own",
            () => count,
            () => Effect.succeed(drawn),
          ),
        ),
      )
    expect(draw(own(2, [3, 1]), 4)).toEqual([1, 3])
    const message = (count: number, drawn: ReadonlyArray<number>) =>
      Effect.runSync(Effect.flip(Policy.draw(own(count, drawn), 4))).message
    expect(message(2, [1, 4])).toBe("policy sltt-own: it drew the steps 1, 4; they must differ and lie in 0 … 3")
    expect(message(2, [1, 1])).toContain("it drew the steps 1, 1")
    expect(message(1, [-1])).toContain("it drew the steps -1")
    expect(message(1, [0.5])).toContain("it drew the steps 0.5")
    // A program is compiled for so many trained steps as were announced.
    expect(message(3, [1, 2])).toBe("policy sltt-own: it drew 2 steps, but announced 3")
  })
})
