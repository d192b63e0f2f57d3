/** The exports that browser.test.ts calls in the page. */
import { conformance } from "@spikeroute/test-support/in-page"
import { webgpu } from "../src/index.ts"

export const { describe, conforms } = conformance(webgpu)
