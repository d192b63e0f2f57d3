/** The exports that browser.test.ts calls in the page. */
import { conformance } from "@spikeroute/test-support/in-page"
import { layer } from "../src/index.ts"

export const { describe, conforms } = conformance(layer)
