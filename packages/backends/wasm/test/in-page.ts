/** What the test of the browser calls in the page. */
import { Backend } from "@spikeroute/core"
import { Conformance } from "@spikeroute/core/testing"
import { Effect, ManagedRuntime } from "effect"
import { layer } from "../src/index.ts"

const runtimes = [1, 3].map((threads) => [threads, ManagedRuntime.make(layer({ threads }))] as const)
const runtimeOf = new Map(runtimes)
const cases = new Map(Conformance.cases({ memory: "own" }).map(({ name, run }) => [name, run]))

/** What the backend says of itself. */
export const describe = (threads: number): Promise<string> | undefined =>
  runtimeOf.get(threads)?.runPromise(Effect.map(Backend, ({ description }) => description))

/** Runs a case of the conformance suite; rejects where the backend fails it. */
export const conforms = async (threads: number, name: string): Promise<void> => {
  const run = cases.get(name)
  if (run === undefined) throw new Error(`the page knows no case ${name}`)
  await runtimeOf.get(threads)?.runPromise(run)
}
