// Decides requests by the statements of policies. In: a JSON list of simulations on standard input; out: a JSON list of
// {"outcome", "why"} in the same order.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const { runSimulation } = createRequire(process.argv[2])('@cloud-copilot/iam-simulate')

const answers = []
for (const simulation of JSON.parse(readFileSync(0, 'utf8'))) {
  const answer = await runSimulation(simulation, {})
  answers.push(
    answer.resultType === 'error'
      ? { outcome: 'Error', why: JSON.stringify(answer.errors) }
      : { outcome: answer.overallResult, why: '' }
  )
}
process.stdout.write(JSON.stringify(answers))
