<?php
// Swift Mailer with the command that it is given, else its default, which is -bs.
require 'Swift/autoload.php';

$transport = isset($argv[1]) ? new Swift_SendmailTransport($argv[1]) : new Swift_SendmailTransport();
$message = (new Swift_Message('Grüße aus Köln – 日本語 ✓'))
    ->setFrom('noreply@contoso.test', 'Jörg Größe')
    ->setTo('ann@example.com')
    ->setBcc('hid@example.com')
    ->setBody(file_get_contents('body'))
    ->attach(Swift_Attachment::fromPath('attachment.bin'));
try {
    echo (new Swift_Mailer($transport))->send($message) ? "sent\n" : "failed\n";
} catch (Exception $error) {
    echo 'failed: ', $error->getMessage(), "\n";
}
