/** Runs the conformance suite in a page. */
import { Backend } from "@spikeroute/core"
import { Conformance } from "@spikeroute/core/testing"
import { Effect, type Layer, ManagedRuntime } from "effect"

/** The suite on a backend: the backend's description, and a function that runs a case by name and rejects if it fails. */
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
