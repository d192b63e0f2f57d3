/** The exports that browser.test.ts calls in the page. */
import { conformance } from "@spikeroute/test-support/in-page"
import { layer } from "../src/index.ts"

const suites = new Map([1, 3].map((threads) => [threads, conformance(layer({ threads }))]))

/** The conformance suite on this many threads. */
const on = (threads: number) => {
  const suite = suites.get(threads)
  if (suite === undefined) throw new Error(`the page has no backend on ${threads} threads`)
  return suite
}

export const describe = (threads: number): Promise<string> => on(threads).describe()
export const conforms = (threads: number, name: string): Promise<void> => on(threads).conforms(name)
