// `bun run check`: types, lint and format, import rules, and a few seconds of fuzzing the C kernels, all in parallel. Prints one line per
// check, and the full output of those that fail.
import { join } from "node:path"
import { check } from "./import-rules.ts"

const repository = join(import.meta.dir, "..")
const colors = process.stdout.isTTY === true

interface Outcome {
  readonly passed: boolean
  readonly output: string
}

const tool = (path: string, ...args: ReadonlyArray<string>) => script(join("node_modules", path), ...args)

const script = async (path: string, ...args: ReadonlyArray<string>): Promise<Outcome> => {
  const child = Bun.spawn([process.execPath, path, ...args], {
    cwd: repository,
    stdin: "ignore",
    stderr: "pipe",
  })
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()])
  return { passed: (await child.exited) === 0, output: out + error }
}

const types = (project: string) =>
  tool("typescript/bin/tsc", "--noEmit", "--pretty", String(colors), "--project", project)

const importRules = async (): Promise<Outcome> => {
  const { found } = check(repository)
  return { passed: found.length === 0, output: found.join("\n") }
}

const report = async (name: string, work: () => Promise<Outcome>): Promise<boolean> => {
  const start = performance.now()
  const { passed, output } = await work()
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  const said = passed && name === "fuzz" ? `  ${output.trim()}` : ""
  console.log(`${passed ? "✓" : "✗"} ${name.padEnd(16)} ${seconds} s${said}`)
  if (!passed) console.log(`${output.trim()}\n`)
  return passed
}

const passed = await Promise.all([
  report("types", () => types(".")),
  // Only pages have the DOM.
  report("types of pages", () => types("apps/playground")),
  report("lint and format", () =>
    tool("@biomejs/biome/bin/biome", "check", "--error-on-warnings", colors ? "--colors=force" : "--colors=off"),
  ),
  report("import rules", importRules),
  report("fuzz", () => script("packages/backends/kernels/fuzz/main.ts", "--seconds", "10")),
])
process.exitCode = passed.every(Boolean) ? 0 : 1
