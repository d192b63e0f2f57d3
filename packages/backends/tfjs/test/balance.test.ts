import { describe, expect, test } from "bun:test"
import { Balance } from "../src/balance.ts"

/** A simulated machine on which a run takes `all` or `one` milliseconds, depending on the number of threads. */
const machine = (raises: number) => {
  const state = { all: 10, one: 20, threads: 2, clock: 0 }
  const balance = new Balance({
    threads: 2,
    raises,
    setThreads: (threads) => {
      state.threads = threads
    },
    now: () => state.clock,
  })
  const owner = {}
  const run = (times: number) => {
    for (let i = 0; i < times; i++)
      balance.time(owner, 1, () => {
        state.clock += state.threads === 1 ? state.one : state.all
      })
  }
  return { state, balance, run, owner }
}

describe("threads", () => {
  test("are kept if they are faster, after trying one", () => {
    const { state, run } = machine(7)
    run(5)
    expect(state.threads).toBe(1)
    run(3)
    expect(state.threads).toBe(2)
    run(1000)
    expect(state.threads).toBe(2)
  })

  test("drop to one if they wait for each other, and are tried again later", () => {
    const { state, run } = machine(7)
    state.all = 100
    run(8)
    expect(state.threads).toBe(1)
    run(900)
    expect(state.threads).toBe(1)
    state.all = 10
    state.clock += 20_000
    run(8)
    expect(state.threads).toBe(2)
  })

  test("drop to one when they become slow, and return if one is slower still", () => {
    const { state, run } = machine(7)
    run(20)
    state.all = 50
    run(3)
    expect(state.threads).toBe(1)
    state.one = 80
    run(3)
    expect(state.threads).toBe(2)
  })

  test("are not raised more often than workers allow", () => {
    const { state, run } = machine(1)
    run(20)
    expect(state.threads).toBe(2)
    state.all = 1000
    run(50)
    expect(state.threads).toBe(2)
  })

  test("are judged only by long enough runs of the same kind", () => {
    const { state, balance, run, owner } = machine(7)
    run(4)
    for (let i = 0; i < 100; i++) balance.time(owner, 1, () => {})
    expect(state.threads).toBe(2)
    balance.time({}, 1, () => {
      state.clock += 10
    })
    run(1)
    expect(state.threads).toBe(2)
    run(5)
    expect(state.threads).toBe(1)
  })
})
