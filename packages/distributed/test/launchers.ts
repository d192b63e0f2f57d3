/** The implementations of MPI on this machine. */

export interface Launcher {
  readonly name: string
  readonly compiler: string
  readonly command: (ranks: number) => ReadonlyArray<string>
}

// Open MPI refuses to run as root, and more processes than processors, unless told.
const openmpi = (run: string) => (ranks: number) => [run, "--allow-run-as-root", "--oversubscribe", "-n", `${ranks}`]
const mpich = (run: string) => (ranks: number) => [run, "-n", `${ranks}`]

/** Debian has both side by side. */
const known = [
  { name: "Open MPI", compiler: "mpicc.openmpi", run: "mpirun.openmpi", command: openmpi },
  { name: "MPICH", compiler: "mpicc.mpich", run: "mpirun.mpich", command: mpich },
]

export const launchers: ReadonlyArray<Launcher> = known
  .filter(({ compiler, run }) => Bun.which(compiler) && Bun.which(run))
  .map(({ name, compiler, run, command }) => ({ name, compiler, command: command(run) }))

if (launchers.length === 0)
  process.stderr.write(`tests of MPI are skipped: there is neither ${known.map(({ run }) => run).join(" nor ")}\n`)

export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a module under a launcher to its end. */
export const launch = async (
  { compiler, command }: Launcher,
  ranks: number,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> => {
  const child = Bun.spawn([...command(ranks), process.execPath, ...args], {
    env: { ...process.env, MPICC: compiler, ...env },
    stdout: "pipe",
    stderr: "pipe",
  })
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code, stdout, stderr }
}
