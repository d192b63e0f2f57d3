/** What a page gives the test that runs the conformance suite in it. */
import { Backend } from "@spikeroute/core"
import { Conformance } from "@spikeroute/core/testing"
import { Effect, type Layer, ManagedRuntime } from "effect"

/** The suite on a backend: what the backend says of itself, and a case by its name, which rejects where the backend fails it. */
export const conformance = <E>(layer: Layer.Layer<Backend, E>) => {
  const runtime = ManagedRuntime.make(layer)
  const cases = new Map(Conformance.cases({ memory: "own" }).map(({ name, run }) => [name, run]))
  return {
    describe: (): Promise<string> => runtime.runPromise(Effect.map(Backend, ({ description }) => description)),
    conforms: async (name: string): Promise<void> => {
      const run = cases.get(name)
      if (run === undefined) throw new Error(`the page knows no case ${name}`)
      await runtime.runPromise(run)
    },
  }
}
