/** What the test of the browser calls in the page. */
import { Backend } from "@spikeroute/core"
import { Conformance } from "@spikeroute/core/testing"
import { Effect, ManagedRuntime } from "effect"
import { webgpu } from "../src/index.ts"

const runtime = ManagedRuntime.make(webgpu)
const cases = new Map(Conformance.cases({ memory: "own" }).map(({ name, run }) => [name, run]))

/** What the backend says of itself. */
export const describe = (): Promise<string> => runtime.runPromise(Effect.map(Backend, ({ description }) => description))

/** Runs a case of the conformance suite; rejects where the backend fails it. */
export const conforms = async (name: string): Promise<void> => {
  const run = cases.get(name)
  if (run === undefined) throw new Error(`the page knows no case ${name}`)
  await runtime.runPromise(run)
}
