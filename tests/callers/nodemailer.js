// nodemailer's sendmail transport; what is given as an argument becomes its option `args`.
const nodemailer = require('nodemailer');

const args = process.argv.slice(2);
const transport = nodemailer.createTransport({ sendmail: true, ...(args.length && { args }) });
transport.sendMail({
  from: { name: 'Jörg Größe', address: 'noreply@contoso.test' },
  to: 'ann@example.com',
  bcc: 'hid@example.com',
  subject: 'Grüße aus Köln – 日本語 ✓',
  text: require('fs').readFileSync('body', 'utf8'),
  attachments: [{ path: 'attachment.bin' }],
}).then(() => console.log('sent'), (error) => console.log(`failed: ${error.message}`));
