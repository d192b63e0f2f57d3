/**
 * `bun run features`: runs the conformance suite on every backend and writes FEATURES.md from the results and the template.
 * A backend that cannot run on this machine keeps its earlier results. `--render` writes the file from the stored results.
 */
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { render } from "./render.ts"
import { caseNames, type Results, readResults, resultsFile } from "./results.ts"
import { backends } from "./subjects.ts"

const conform = async (name: string): Promise<Results["backends"][string] | undefined> => {
  const child = Bun.spawn([process.execPath, fileURLToPath(new URL("./run-backend.ts", import.meta.url)), name], {
    stderr: "pipe",
  })
  const [out, error, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  if (code === 0) return JSON.parse(out)
  console.error(`${name} cannot run here: ${error.trim().split("\n").at(-1) ?? ""}; keeping its earlier results`)
  return undefined
}

const renewed = async (): Promise<Results> => {
  const found: Record<string, Results["backends"][string]> = {}
  const earlier = ((): Results["backends"] => {
    try {
      return readResults().backends
    } catch {
      return {}
    }
  })()
  for (const { name } of backends) {
    const results = (await conform(name)) ?? earlier[name]
    if (results === undefined) continue
    found[name] = results
    const failed = Object.keys(results.failed)
    console.error(
      `${name}: ${failed.length === 0 ? "all cases pass" : `${failed.length} cases fail: ${failed.join("; ")}`}`,
    )
  }
  return { cases: caseNames(), backends: found }
}

const results = process.argv.includes("--render") ? readResults() : await renewed()
writeFileSync(resultsFile, `${JSON.stringify(results, undefined, 2)}\n`)
writeFileSync(new URL("../../../FEATURES.md", import.meta.url), render(results))
