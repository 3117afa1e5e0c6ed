const greet = require('./lib/greet');

console.log(greet(process.argv[2] || process.env.NODE_ENV));
