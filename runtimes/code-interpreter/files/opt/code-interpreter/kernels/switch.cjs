'use strict'
// Beside the thread that runs the code: whatever that does, a byte that arrives here throws it out of it.

const { Session } = require('node:inspector')
const { Socket } = require('node:net')
const { workerData } = require('node:worker_threads')

const session = new Session()
session.connectToMainThread()
new Socket({ fd: workerData }).on('data', () => session.post('Runtime.terminateExecution'))
