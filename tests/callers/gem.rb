# The mail gem as ActionMailer uses it.
require 'mail'

mail = Mail.new(charset: 'UTF-8') do
  from 'Jörg Größe <noreply@contoso.test>'
  to 'ann@example.com'
  bcc 'hid@example.com'
  subject 'Grüße aus Köln – 日本語 ✓'
  body File.read('body')
  add_file 'attachment.bin'
end
mail.delivery_method :sendmail
begin
  mail.deliver!
  puts 'sent'
rescue StandardError => e
  puts "failed: #{e.message}"
end
