/** The files of the playground, bundled for browsers. */
import { fileURLToPath } from "node:url"
import { type BundleOptions, bundle } from "@spikeroute/web-tools"

const path = (name: string): string => fileURLToPath(new URL(`../page/${name}`, import.meta.url))

/** The files by name: a folder of them is a page that any server can serve. */
export const makeSite = async (options: BundleOptions = {}): Promise<ReadonlyMap<string, Blob>> =>
  new Map([
    ...(await bundle(path("main.ts"), options)),
    ...["index.html", "style.css"].map((name) => [name, Bun.file(path(name))] as const),
  ])
